"""A fixed pool of long-lived Ray actors that run any trial's segments. The only file that imports Ray.

What is used of Ray, and how:

* ``ray.wait`` only on batches in flight (at most a few per worker), ``fetch_local=False``; after the first ready one
  all others that are ready are drained without waiting. ``ray.wait`` returns in input order, so the order is rotated
  and no worker is starved.
* Batches go out as small messages and come back as JSON text; states go through the checkpoint directory, the data
  set once through the object store. No Ray object is ever the only copy of anything.
* A dead actor gives its batches back as ``Lost`` and is replaced under the same number.
* A local start is private: loopback only, no Ray dashboard, token authentication, own temporary directory.
"""

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hyperband.errors import InfeasibleResourcesError, StorageError, TrainableError, WorkersLostError
from hyperband.executors.base import Batch, Returned, Work
from hyperband.executors.ray_start import (
    RAY_SETS,
    loopback_only,
    no_lecture,
    private_files,
    restore_environment,
    uninterrupted,
)
from hyperband.executors.worker import WorkerProcess, load_data_in_worker
from hyperband.messages import Event, Job, LossCause, Lost, from_json
from hyperband.planning import require_int

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's own future default; silences its warning

import ray
from ray.exceptions import RayError

#: A worker that is replaced so often in a row, without one batch coming back from anywhere, will not live.
MAX_DEATHS_IN_A_ROW = 30


#: Seconds to wait for the first worker of a run, and then for the others; who is not there by then is left out.
FIRST_WORKER_SECONDS, OTHER_WORKERS_SECONDS = 120, 30
#: Seconds without any worker after which a run is given up (it can be resumed).
NO_WORKER_SECONDS = 90


@dataclass(slots=True)
class _Worker:
    actor: Any
    opening: Any  #: reference of the call that gets it ready, None when it is
    batches: dict[Any, Sequence[Job]] = field(default_factory=dict)


class Ray:
    """Executor on Ray: this machine by default, an existing cluster if there is one to attach to.

    If Ray is running in this process already (``ray.init`` was called), it is used and left running. Otherwise the
    cluster named by ``address`` or the variable ``RAY_ADDRESS`` is joined, or a private local one is started.

    Args:
        max_concurrent: At most so many workers; default as many as fit.
        address: ``"auto"`` or ``host:port`` of a running cluster.
        worker_output: Show in the driver what workers print.

    Raises:
        ConfigurationError: ``max_concurrent`` is below 1.
    """

    name = "ray"
    needs_trainable = True

    def __init__(
        self, *, max_concurrent: int | None = None, address: str | None = None, worker_output: bool = False
    ) -> None:
        if max_concurrent is not None:
            require_int("max_concurrent", max_concurrent, 1)
        self._max_concurrent = max_concurrent
        self._address = address
        self._worker_output = worker_output
        self._work: Work | None = None
        self._workers: list[_Worker] = []
        self._data: Any = None
        self._ours = False
        self._environment: dict[str, str | None] = {}
        self._temporary: str | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._probe = ""
        self._turn = 0
        self._deaths = 0
        self._alive = 0.0  #: when there was a worker last

    # --- life --------------------------------------------------------------------------------

    def start(self, work: Work) -> int:
        """Start or join Ray, load the data into the object store, bring the workers up and see that they can work."""
        self._work = work
        self._connect()
        try:
            count = self._count_workers(work.resources)
            self._data = self._load_data(work)
            self._probe = f".probe-{secrets.token_hex(8)}"
            Path(work.checkpoints, self._probe).touch()
            self._workers = [self._create() for _ in range(count)]
            self._open_all(work)
            count = len(self._workers)
        except RayError as error:
            self.close()
            msg = f"the workers could not be started: {_first_line(error)}"
            raise WorkersLostError(msg) from error
        except BaseException:
            self.close()
            raise
        return count

    def _open_all(self, work: Work) -> None:
        """Wait until the workers are ready, but not for those for which the cluster has no room at present.

        Raises:
            WorkersLostError: There is no room for even one.
        """
        openings = [worker.opening for worker in self._workers]
        first, _ = ray.wait(openings, num_returns=1, timeout=FIRST_WORKER_SECONDS, fetch_local=False)
        if not first:
            free = ", ".join(f"{name} {ray.available_resources().get(name, 0):g}" for name in ("CPU", "GPU"))
            msg = (
                f"no worker could be started within {FIRST_WORKER_SECONDS} s: one needs {work.resources}, "
                f"free are {free}; "
                "end what else runs on this Ray, or ask for less with `resources=`"
            )
            raise WorkersLostError(msg)
        ready, _ = ray.wait(openings, num_returns=len(openings), timeout=OTHER_WORKERS_SECONDS, fetch_local=False)
        ready = ready or first
        opened = []
        for worker in self._workers:
            if worker.opening in ready:
                self._check(json.loads(ray.get(worker.opening)))
                worker.opening = None
                opened.append(worker)
            else:
                ray.kill(worker.actor)
        self._workers = opened

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        self._ours = True
        self._environment = {name: os.environ.get(name) for name in RAY_SETS}
        address = self._address or os.environ.get("RAY_ADDRESS")
        quiet: dict[str, Any] = {"log_to_driver": self._worker_output, "logging_level": "ERROR"}
        if address:
            ray.init(address=address, **quiet)
            return
        root = "/tmp" if Path("/tmp").is_dir() else None  # noqa: S108 - sockets below it must stay under 108 characters
        self._temporary = tempfile.mkdtemp(prefix="hb-", dir=root)  # mode 0700
        self._watchdog = subprocess.Popen(  # noqa: S603 - our own interpreter and our own file
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("watchdog.py")), self._temporary],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        with no_lecture(), loopback_only(), private_files(), uninterrupted():
            ray.init(
                address="local",
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=f"{self._temporary}/r",  # Ray opens its own directory to everybody, not the one around
                **quiet,
            )

    def _count_workers(self, resources: dict[str, float]) -> int:
        """Return how many workers fit on the nodes of the cluster.

        Raises:
            InfeasibleResourcesError: Not even one does.
        """
        wanted = {_RAY_NAMES.get(name, name): amount for name, amount in resources.items() if amount}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        fits = sum(
            min(
                (int(node.get(name, 0) / amount + 1e-9) for name, amount in wanted.items()),
                default=len(os.sched_getaffinity(0)),
            )
            for node in nodes
        )
        if fits == 0:
            have = "; ".join(
                ", ".join(f"{k} {v:g}" for k, v in sorted(node.items()) if ":" not in k and "memory" not in k)
                for node in nodes
            )
            want = ", ".join(f"{name} {amount:g}" for name, amount in wanted.items())
            msg = f"one trial asks for {want}, which no node has (nodes: {have}); ask for less with `resources=`"
            raise InfeasibleResourcesError(msg)
        return min(fits, self._max_concurrent or fits)

    def _load_data(self, work: Work) -> Any:
        if work.data is None:
            return None
        load = ray.remote(num_cpus=0, num_returns=2, max_retries=0)(load_data_in_worker)
        error, data = load.remote(work.data, sys.path)
        text = ray.get(error)
        if text:
            msg = f"`data` could not be loaded in a worker:\n{text}"
            raise TrainableError(msg)
        return data

    def _create(self) -> _Worker:
        if self._work is None:
            msg = "the executor was not started"
            raise WorkersLostError(msg)
        resources = dict(self._work.resources)
        options = {
            "num_cpus": resources.pop("cpu", 0),
            "num_gpus": resources.pop("gpu", 0),
            "resources": resources,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        work = replace(self._work, data=None)  # the data is in the object store already, once
        actor = ray.remote(**options)(WorkerProcess).remote(work, sys.path, self._data)
        return _Worker(actor, actor.open.remote(self._probe))

    def _check(self, answer: dict[str, Any]) -> None:
        if "error" in answer:
            msg = f"a worker could not load the trainable: {answer['error']}\n{answer['traceback']}"
            raise TrainableError(msg)
        if not answer["shared"]:
            msg = (
                "a worker does not see the experiment's directory; on several machines `storage` must be "
                "on a file system that all of them share"
            )
            raise StorageError(msg)

    def close(self) -> None:
        """Kill the workers, and Ray with them if it was started here."""
        if ray.is_initialized():
            for worker in self._workers:
                ray.kill(worker.actor)
        if self._ours:
            ray.shutdown()
            restore_environment(self._environment)
        if self._work is not None and self._probe:
            Path(self._work.checkpoints, self._probe).unlink(missing_ok=True)
        if self._watchdog is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # a fork of the user's may hold the pipe open
                self._watchdog.communicate(b"x", timeout=30)  # waits until everything is gone
        self._workers, self._data, self._temporary, self._ours, self._watchdog = [], None, None, False, None

    # --- work --------------------------------------------------------------------------------

    def submit(self, worker: int, jobs: Sequence[Job]) -> None:
        """Queue a batch on an actor."""
        target = self._workers[worker]
        target.batches[target.actor.run.remote(jobs)] = jobs

    def wait(self, timeout: float | None) -> list[Batch]:
        """Wait for the first batch, then take all that are ready."""
        owners = {ref: number for number, worker in enumerate(self._workers) for ref in worker.batches}
        owners.update(
            {worker.opening: number for number, worker in enumerate(self._workers) if worker.opening is not None}
        )
        self._require_some_worker()
        if not owners:
            return []
        refs = list(owners)
        self._turn = (self._turn + 1) % len(refs)
        refs = refs[self._turn :] + refs[: self._turn]
        ready, rest = ray.wait(refs, num_returns=1, timeout=timeout, fetch_local=False)
        if ready and rest:
            more, _ = ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)
            ready = ready + more
        ready.sort(key=refs.index) if len(ready) > 1 else None
        batches: list[Batch] = []
        for ref in ready:
            batches += self._take(owners[ref], ref)
        return batches

    def _require_some_worker(self) -> None:
        """Raise if every worker has been waiting for its successor for too long: the node or Ray itself is gone."""
        if any(worker.opening is None for worker in self._workers):
            self._alive = time.monotonic()
        elif time.monotonic() - self._alive > NO_WORKER_SECONDS:
            msg = f"all workers died, and none came back within {NO_WORKER_SECONDS} s: Ray or its node is gone"
            raise WorkersLostError(msg)

    def _take(self, number: int, ref: Any) -> list[Batch]:
        worker = self._workers[number]
        if ref != worker.opening and ref not in worker.batches:
            return []  # given back already when the worker was found dead
        try:
            text = ray.get(ref)
        except RayError as error:
            return [self._bury(number, _first_line(error))]
        if ref == worker.opening:
            self._check(json.loads(text))
            worker.opening = None
            return [Batch(number, ())]
        del worker.batches[ref]
        self._deaths = 0
        return [Batch(number, tuple(Returned(_event(body), info) for body, info in json.loads(text)))]

    def _bury(self, number: int, reason: str) -> Batch:
        """Give back everything a dead worker held and create its successor, which reports when it is ready."""
        dead = self._workers[number]
        self._deaths += 1
        if self._deaths > MAX_DEATHS_IN_A_ROW:
            msg = f"{self._deaths} workers died in a row without finishing anything; the last one: {reason}"
            raise WorkersLostError(msg)
        ray.kill(dead.actor)
        lost = [
            Returned(Lost(job.trial, job.segment, job.attempt, LossCause.WORKER, reason))
            for jobs in dead.batches.values()
            for job in jobs
        ]
        self._workers[number] = self._create()
        return Batch(number, tuple(lost), available=False)

    def now(self) -> float:
        """Real seconds."""
        return time.monotonic()


_RAY_NAMES = {"cpu": "CPU", "gpu": "GPU"}


def _event(body: dict[str, Any]) -> Event:
    return from_json(body)  # type: ignore[return-value]  # a worker sends events only


def _first_line(error: BaseException) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return (plain.splitlines() or [type(error).__name__])[0][:300]
