"""The bracket manager: the one loop ask -> journal -> submit -> wait -> commit -> tell.

It is the only place that knows both sides, the pure search and the executor. One turn of the loop:

1. **absorb** what came back: tell the search, append event and decisions to the journal;
2. **ask** for as many jobs as the open workers can take, append them;
3. **commit** the journal: one write and one fsync for the whole turn;
4. only then **act**: submit the jobs, delete released checkpoints, call the observers.

So nothing happens in the world that is not on disk before, and a driver killed at any
moment leaves a journal whose fold is the state it died in.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from hyperband.clock import Clock
from hyperband.errors import LivenessError, StorageError
from hyperband.executors import Batch, Executor, Returned
from hyperband.manager.dispatch import Dispatcher
from hyperband.manager.interrupts import Interrupts
from hyperband.manager.replay import Replayed, job_record
from hyperband.messages import Action, Checkpoint, Job, Json, LossCause, Lost, Release, Reported, Stop, to_json
from hyperband.search import Search, Status

#: Longest wait for a result in seconds; then signals are looked at.
TICK: Final = 0.25
#: Seconds that running segments get to end after the first Ctrl-C.
DRAIN_SECONDS: Final = 20.0


class Log(Protocol):
    """What the loop needs of a journal."""

    def append(self, record: Json) -> int:
        """Add a record; not durable yet."""
        ...

    def commit(self) -> None:
        """Make everything appended durable."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the loop talks to."""

    search: Search
    executor: Executor
    log: Log
    delete: Callable[[Checkpoint], None]  #: remove a released checkpoint; idempotent
    clock: Clock
    observe: Callable[[Json], None]  #: called with each record after it is durable
    drain_seconds: float = DRAIN_SECONDS
    handle_signals: bool = True


class Manager:
    """Runs one search to its end, or to the first interruption."""

    def __init__(self, ports: Ports, workers: int) -> None:
        """Get ready; nothing is started.

        Args:
            ports: The two sides and the journal between them.
            workers: What ``executor.start`` returned.
        """
        self._workers = workers
        self._search = ports.search
        self._executor = ports.executor
        self._ports = ports
        self._dispatcher = Dispatcher(workers)
        self._fresh: list[Json] = []  #: appended in this turn
        self._released: list[Checkpoint] = []
        self._jobs: list[tuple[int, list[Job]]] = []  #: to submit once they are durable
        self._storage_fault: str | None = None
        self.signal: str | None = None  #: what interrupted the run
        self._sweeper = ThreadPoolExecutor(1, thread_name_prefix="hyperband-sweeper")

    # --- life --------------------------------------------------------------------------------

    def recover(self, replayed: Replayed) -> None:
        """Finish what a dead driver left half done: write its missing decisions, give its leases back."""
        for action in replayed.undecided:
            self._decide(action)
        running = sorted(t.id for t in self._search.trials.values() if t.status is Status.RUNNING)
        for trial in running:
            held = self._search.trials[trial]
            self._take(Returned(Lost(trial, held.segment, held.attempt, LossCause.DRIVER, "the driver ended")))
        self._commit()

    def run(self) -> bool:
        """Run until every rung is decided.

        Returns:
            True if the search is finished, False if it was interrupted (then it can be resumed).

        Raises:
            LivenessError: Nothing runs, nothing can be started, and the search is not finished.
            StorageError: A checkpoint could not be written; the experiment can be resumed when it can.
        """
        self._record({"type": "workers", "count": self._workers, "executor": self._executor.name})
        try:
            with Interrupts(enabled=self._ports.handle_signals) as interrupts:
                while not self._search.finished:
                    if interrupts.received is not None:
                        self._drain(interrupts.received.name)
                        return self._search.finished
                    self._dispatch()
                    self._commit()
                    self._require_life()
                    self._absorb(self._executor.wait(TICK))
                self._commit()
        finally:
            self._sweeper.shutdown(wait=True)
        return True

    def _require_life(self) -> None:
        if self._dispatcher.in_flight or self._dispatcher.recovering or self._search.finished:
            return
        msg = (
            "nothing is in flight, nothing can be started and the search is not finished. Please report this. "
            f"State: {self._search.snapshot()}"
        )
        raise LivenessError(msg)

    def _drain(self, signal_name: str) -> None:
        """Let running segments end, start nothing, and say so in the journal."""
        self.signal = signal_name
        self._record({"type": "interrupted", "signal": signal_name})
        self._commit()
        deadline = self._executor.now() + self._ports.drain_seconds
        while self._dispatcher.outstanding and self._executor.now() < deadline:
            batches = self._executor.wait(TICK)
            self._absorb(batches)
            self._commit()

    # --- ask and submit ----------------------------------------------------------------------

    def _dispatch(self) -> None:
        workers = self._dispatcher.open_workers()
        if not workers:
            return
        jobs: list[Job] = []
        units = 0
        takers = len(workers) - self._dispatcher.lonely
        while takers > 0 and not self._dispatcher.enough(len(jobs), units, takers):
            job = self._search.ask()
            if job is None:
                break
            self._record({**job_record(job), "wall": round(self._ports.clock.wall(), 3)})
            jobs.append(job)
            units += job.segment.units
        self._jobs = self._dispatcher.assign(jobs, workers)

    # --- what came back ----------------------------------------------------------------------

    def _absorb(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._dispatcher.came_back(batch.worker, available=batch.available)
            for returned in batch.returned:
                self._take(returned, batch.worker)

    def _take(self, returned: Returned, worker: int | None = None) -> None:
        """Tell the search what came back and write down what it decides; late and repeated results change nothing."""
        event = returned.event
        body = to_json(event)
        if worker is not None:
            body["info"] = {**returned.info, "worker": worker}
        if not self._search.is_current(event):
            self._record({**body, "type": "stale", "was": body["type"]})
            if isinstance(event, Reported) and event.checkpoint and not self._search.holds(event.checkpoint):
                self._released.append(event.checkpoint)
            return
        actions = self._search.tell(event)  # first, so that an event which is refused leaves no line in the journal
        body["wall"] = round(self._ports.clock.wall(), 3)
        self._record(body)
        if isinstance(event, Reported) and "seconds" in returned.info:  # how soon one fails says nothing
            self._dispatcher.trained(event.segment.units, returned.info["seconds"])
        if isinstance(event, Lost) and event.cause is LossCause.STORAGE:
            self._storage_fault = event.message
        for action in actions:
            self._decide(action)

    def _decide(self, action: Action) -> None:
        self._record(to_json(action))
        if isinstance(action, Release):
            self._released.append(action.checkpoint)
        elif isinstance(action, Stop):
            self._dispatcher.forget(action.trial)

    def _record(self, body: Json) -> None:
        self._ports.log.append(body)
        self._fresh.append(body)

    # --- durable, then done ------------------------------------------------------------------

    def _commit(self) -> None:
        """Make the turn durable, then act on it."""
        if self._fresh:
            self._ports.log.commit()
        jobs, self._jobs = self._jobs, []
        for worker, batch in jobs:
            self._executor.submit(worker, batch)
        released, self._released = self._released, []
        if released:
            self._sweeper.submit(self._sweep, released)
        fresh, self._fresh = self._fresh, []
        for record in fresh:
            self._ports.observe(record)
        if self._storage_fault is not None:
            msg = f"a checkpoint could not be written: {self._storage_fault}; make room or fix the storage, then resume"
            raise StorageError(msg)

    def _sweep(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Delete released checkpoints beside the loop; what fails is swept up at the next resume."""
        for checkpoint in checkpoints:
            try:
                self._ports.delete(checkpoint)
            except OSError:
                continue
