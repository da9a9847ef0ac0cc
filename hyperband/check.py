"""Does a trainable resume exactly? Train it in one go and in pieces, and name what differs.

Three ways to the same resource must end in the same state, bit for bit: 0 -> b in one segment, 0 -> a -> b in one
worker, and 0 -> a, then a -> b in a fresh process. A first comparison of 0 -> b with itself tells what is the
trainable's own randomness, so that it is not blamed on the restore.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from hyperband import randomness
from hyperband.checkpoints import CheckpointStore, decode
from hyperband.errors import ConfigurationError, HyperbandError, StateError, TrainableError
from hyperband.executors import Work
from hyperband.executors.runner import SegmentRunner, load_data
from hyperband.executors.threads import limited_threads
from hyperband.messages import Config, Failed, Reported, Resume, Segment, Start, from_json
from hyperband.planning import require_int
from hyperband.samplers import config_rng
from hyperband.space import Space

_INCOMPLETE = "the state is not complete (hand everything that training changes to ctx.steps, or return it)"
#: Most lines that a report prints per comparison.
LINES = 8


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        config: The config that was trained.
        noise: Differences between two runs of 0 -> b: the code's own non-determinism.
        pieces: Differences between 0 -> b and 0 -> a -> b in one worker.
        fresh: Differences between 0 -> b and 0 -> a, fresh process, a -> b.
    """

    config: Config
    resources: tuple[int, int]
    noise: tuple[str, ...]
    pieces: tuple[str, ...]
    fresh: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the trainable resumes exactly."""
        return not (self.noise or self.pieces or self.fresh)

    def require(self) -> None:
        """Raise if the check failed.

        Raises:
            StateError: The trainable does not resume exactly; the message is the report.
        """
        if not self.ok:
            raise StateError(str(self))

    def __str__(self) -> str:
        """Return the report as text."""
        a, b = self.resources
        rows = (
            (f"0 -> {b} twice", self.noise, "the code itself is not deterministic"),
            (f"0 -> {a} -> {b}, same worker", self.pieces, _INCOMPLETE),
            (f"0 -> {a}, fresh process, {a} -> {b}", self.fresh, _INCOMPLETE),
        )
        lines = []
        for title, differences, meaning in rows:
            if not differences:
                lines.append(f"same       {title}")
                continue
            hidden = len(differences) - LINES
            lines.append(f"DIFFERENT  {title}: {meaning}")
            lines += [f"           {line}" for line in differences[:LINES]]
            if hidden > 0:
                lines.append(f"           ... and {hidden} more")
        return "\n".join(lines)


def check_trainable(
    trainable: object,
    space: Space | Mapping[str, object] | None = None,
    *,
    config: Config | None = None,
    resources: tuple[int, int] = (2, 5),
    data: Any = None,
    seed: int = 0,
    threads: int = 1,
) -> CheckReport:
    """Train in one go and in pieces, and compare states, random numbers and metrics.

    Args:
        trainable: Any of the three shapes.
        space: Where a random config is drawn from.
        config: The config to train, instead of ``space``.
        resources: a and b, 1 <= a < b, in units.
        data: As in ``run``.
        seed: Seed of the config and of the trial.
        threads: Threads numerical libraries may use.

    Returns:
        A report; ``print`` it, or call ``require()``.

    Raises:
        TrainableError: It failed before anything could be compared.
        ConfigurationError: An argument is wrong.
    """
    a, b = require_int("resources[0]", resources[0], 1), require_int("resources[1]", resources[1], 2)
    if a >= b:
        msg = f"`resources` is {resources}, must be (a, b) with 1 <= a < b"
        raise ConfigurationError(msg)
    config = _config(space, config, seed)
    pickled = (cloudpickle.dumps(trainable), None if data is None else cloudpickle.dumps(data))
    with (
        tempfile.TemporaryDirectory(prefix="hyperband-check-") as root,
        randomness.preserved(),
        limited_threads(threads),
    ):
        bench = _Bench(Path(root), pickled, config, seed, threads)
        whole = bench.state("whole", bench.train("whole", 0, b))
        again = bench.state("again", bench.train("again", 0, b))
        first = bench.train("pieces", 0, a)
        pieces = bench.state("pieces", bench.train("pieces", a, b, first))
        # All of the last row in processes of their own: this one may use other kernels (threads, libraries) than they.
        direct, half = bench.train_elsewhere("direct", [bench.job(0, b), bench.job(0, a, attempt=2)])
        fresh = bench.train_elsewhere("direct", [bench.job(a, b, half, attempt=3)])[0]
        states = [bench.state("direct", event) for event in (direct, fresh)]
    noise = tuple(differences(whole, again))
    return CheckReport(
        config, (a, b), noise, tuple(differences(whole, pieces)), tuple(differences(states[0], states[1]))
    )


def _config(space: Space | Mapping[str, object] | None, config: Config | None, seed: int) -> Config:
    if (space is None) == (config is None):
        msg = "give either a `space` to draw a config from, or a `config`"
        raise ConfigurationError(msg)
    if config is not None:
        return config
    return (space if isinstance(space, Space) else Space(space or {})).sample(config_rng(seed, 0))


class _Bench:
    """Trains the same trial several times, each time in a directory of its own."""

    def __init__(
        self, root: Path, pickled: tuple[bytes, bytes | None], config: Config, seed: int, threads: int
    ) -> None:
        self._root = root
        self._pickled = pickled
        self._config = config
        self._seed = seed
        self._threads = threads
        self._runners: dict[str, SegmentRunner] = {}
        self._data = load_data(pickled[1])

    def _work(self, name: str) -> Work:
        directory = self._root / name
        directory.mkdir(exist_ok=True)
        resources = {"cpu": float(self._threads)}
        return Work(*self._pickled, str(directory), "", self._seed, "none", resources=resources)

    def job(self, start: int, stop: int, before: Reported | None = None, attempt: int = 1) -> Start | Resume:
        """Return the job that trains from ``start``, where ``before`` ended, to ``stop``."""
        segment = Segment(0, 1 if before else 0, start, stop)
        if before is None:
            return Start(0, self._config, segment, attempt)
        return Resume(0, self._config, segment, before.checkpoint, attempt)

    def train(self, name: str, start: int, stop: int, before: Reported | None = None) -> Reported:
        """Train a segment in this process; calls of one name share a worker."""
        if name not in self._runners:
            self._runners[name] = SegmentRunner(self._work(name), self._data)
        returned = self._runners[name].run(self.job(start, stop, before))
        return _require_reported(returned.event, returned.info.get("traceback", ""))

    def train_elsewhere(self, name: str, jobs: Sequence[Start | Resume]) -> list[Reported]:
        """Train segments in a fresh Python process."""
        file = self._root / "task.pkl"
        answer = file.with_suffix(".json")
        answer.unlink(missing_ok=True)
        file.write_bytes(cloudpickle.dumps((self._work(name), jobs, sys.path)))
        code = "import sys; from hyperband.executors.runner import run_file; run_file(sys.argv[1])"
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own code
            [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not answer.exists():
            msg = f"the fresh process ended with code {done.returncode}: {done.stderr[-2000:]}"
            raise TrainableError(msg)
        rows = json.loads(answer.read_text())
        return [_require_reported(from_json(body), info.get("traceback", "")) for body, info in rows]

    def state(self, name: str, event: Reported) -> dict[str, Any]:
        """Return everything that the trial ended with."""
        if event.checkpoint is None:
            msg = "the segment left no checkpoint"
            raise TrainableError(msg)
        saved = CheckpointStore(self._root / name, "none").load(event.checkpoint)
        names = {"@random": "random numbers", "@state": "ctx.state"}
        state = {names.get(key, key): decode(entry) for key, entry in saved.entries.items()}
        return {**state, "metrics": dict(event.metrics), "resource": event.resource}


def _require_reported(event: object, trace: str) -> Reported:
    if isinstance(event, Reported):
        return event
    message = event.message if isinstance(event, Failed) else str(event)
    msg = f"the trainable failed: {message}\n{trace}".rstrip()
    raise TrainableError(msg)


# --- comparing -------------------------------------------------------------------------------


def differences(left: Any, right: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each place in which two states differ; floats are compared bit for bit.

    Args:
        left: A state.
        right: Another one.
        path: Where we are, for the lines.
    """
    left, right = _plain(left), _plain(right)
    here = path or "state"
    if type(left) is not type(right):
        yield f"{here}: {type(left).__name__} became {type(right).__name__}"
    elif isinstance(left, Mapping):
        for key in [*left, *(key for key in right if key not in left)]:
            place = f"{path}.{key}" if path else str(key)
            if key not in left or key not in right:
                yield f"{place}: only in {'the second' if key not in left else 'the first'}"
            else:
                yield from differences(left[key], right[key], place)
    elif isinstance(left, np.ndarray):
        yield from _array_difference(left, right, here)
    elif isinstance(left, Sequence) and not isinstance(left, str | bytes):
        if len(left) != len(right):
            yield f"{here}: length {len(left)} became {len(right)}"
        for index, (one, other) in enumerate(zip(left, right, strict=False)):
            yield from differences(one, other, f"{path}[{index}]")
    elif not _equal(left, right):
        yield f"{here}: {_short(left)} became {_short(right)}"


def _array_difference(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any], here: str) -> Iterator[str]:
    if left.shape != right.shape or left.dtype != right.dtype:
        yield f"{here}: {left.dtype}{list(left.shape)} became {right.dtype}{list(right.shape)}"
    elif left.tobytes() != right.tobytes():
        different = int(np.sum(left != right)) or left.size
        size = ""
        if left.dtype.kind == "f":
            size = f", by up to {float(np.nanmax(np.abs(left - right))):.3g}"
        yield f"{here}: {different} of {left.size} numbers differ{size}"


def _plain(value: Any) -> Any:
    """Return tensors as arrays, and objects as their state_dict or their attributes."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        return tensor.view(torch.uint8).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()
    if isinstance(value, dict | list | tuple | str | bytes | int | float | np.ndarray | None):
        return value
    if callable(getattr(value, "state_dict", None)) and not isinstance(value, type):
        return value.state_dict()
    attributes = getattr(value, "__dict__", None)
    return attributes or _reduced(value)


def _reduced(value: Any) -> Any:
    """Return what pickle would store of an object without attributes: extension types compare by it, not by address."""
    if isinstance(value, type) or callable(value):
        return value
    try:
        parts = value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001 - whatever an object does here, it was pickled before
        return value
    return value if isinstance(parts, str) else [_listed(part) for part in parts[1:]]


def _listed(part: Any) -> Any:
    return list(part) if isinstance(part, Iterator) else part


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, float):
        return np.float64(left).tobytes() == np.float64(right).tobytes()
    try:
        return bool(left == right)
    except (TypeError, ValueError, HyperbandError):
        return left is right


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
