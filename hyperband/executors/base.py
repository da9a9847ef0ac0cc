"""What an executor is: a fixed number of workers that run batches of segments of any trial.

Executors never see schedulers or the journal. The manager decides which worker gets which jobs; the executor runs
them and says what came back. A batch travels to one worker in one message and comes back in one, so that short
segments are not bound by the cost of a remote call each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from hyperband.errors import ConfigurationError
from hyperband.messages import Event, Job, Json


@dataclass(frozen=True, slots=True)
class Work:
    """All that a worker needs to know before its first segment; plain data, so that it can travel anywhere."""

    trainable: bytes  #: pickled by the driver that was given it; unpickled by workers only
    data: bytes | None  #: pickled data or a pickled function that loads it
    checkpoints: str  #: directory of the checkpoints
    metric: str
    seed: int
    durability: Literal["full", "none"] = "full"
    script: str = ""  #: module that is pickled by value, because it is a script and not installed
    code: str = ""  #: fingerprint of the trainable's source, written into every manifest
    resources: dict[str, float] = field(default_factory=lambda: {"cpu": 1.0})  #: what one worker reserves

    @property
    def threads(self) -> int:
        """Threads that numerical libraries may use in a worker: the CPUs it reserves, at least one."""
        return max(1, int(self.resources.get("cpu", 1)))


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of one job."""

    event: Event
    info: Json = field(default_factory=dict)  #: seconds, worker, traceback ...; for people, never for decisions


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything one submission gave back; a worker's batches come back in the order they were submitted."""

    worker: int
    returned: tuple[Returned, ...]
    available: bool = True  #: False: the worker died; an empty batch will tell when its successor is ready


@runtime_checkable
class Executor(Protocol):
    """Runs segments somewhere.

    Obligations: called from one thread. ``submit`` never blocks on training. Each submitted job is returned exactly
    once, also when its worker dies (as ``Lost``), and a dead worker is replaced under the same number. An exception
    in user code is a ``Failed`` event, never an exception of the executor. After ``close`` no worker process is left.
    """

    @property
    def name(self) -> str:
        """Its name for people and for the journal."""
        ...

    @property
    def needs_trainable(self) -> bool:
        """Whether it runs user code; a simulator that replays curves does not."""
        ...

    def start(self, work: Work) -> int:
        """Bring the workers up and return how many there are; they are numbered from 0.

        Raises:
            InfeasibleResourcesError: No worker with the wanted resources can ever exist here.
        """
        ...

    def submit(self, worker: int, jobs: Sequence[Job]) -> None:
        """Queue a batch on one worker."""
        ...

    def wait(self, timeout: float | None) -> list[Batch]:
        """Return the batches that are ready; wait for the first one up to ``timeout`` seconds of real time."""
        ...

    def now(self) -> float:
        """Seconds on the clock that training time is measured by (virtual in the simulator)."""
        ...

    def close(self) -> None:
        """End all workers at once; what is in flight is abandoned. Idempotent."""
        ...


def require_resources_mapping(resources: object) -> dict[str, float]:
    """Return what one trial reserves, checked: ``{"cpu": 1, "gpu": 0.25, "my_resource": 1}``.

    Raises:
        ConfigurationError: It is no mapping of names to numbers >= 0.
    """
    if resources is None:
        return {"cpu": 1.0}
    if not isinstance(resources, dict):
        msg = f"`resources` is {resources!r}, must be a dict such as {{'cpu': 1, 'gpu': 0.25}}"
        raise ConfigurationError(msg)
    checked: dict[str, float] = {}
    for name, amount in resources.items():
        key = {"CPU": "cpu", "GPU": "gpu", "num_cpus": "cpu", "num_gpus": "gpu"}.get(str(name), str(name))
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < float("inf"):
            msg = f"`resources[{name!r}]` is {amount!r}, must be a number >= 0"
            raise ConfigurationError(msg)
        checked[key] = float(amount)
    return {"cpu": 1.0, **checked}
