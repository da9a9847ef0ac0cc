"""Which worker gets which jobs, and how many at once.

Three aims, in this order: no idle worker while there is work; short segments travel together, so that the cost of a
message is shared; a trial goes to the worker that trained it last, which may still hold its state.

A segment that lost its worker before is sent alone to an idle worker. If it kills that one too, it was the segment and
not its neighbours, and no innocent segment pays for it.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from hyperband.messages import Job

#: Seconds of training that are worth a message of about a millisecond.
BATCH_SECONDS: Final = 0.05
#: Most jobs in one batch, whatever they cost.
BATCH_JOBS: Final = 64
#: Batches of short segments that may wait on a busy worker, the running one included.
DEPTH: Final = 2
#: Weight of the newest measurement in the running mean of seconds per unit.
_NEWEST: Final = 0.2


class Dispatcher:
    """Bookkeeping about workers; it never talks to them."""

    def __init__(self, workers: int) -> None:
        self._outstanding = [0] * workers  #: batches a worker has not given back
        self._available = [True] * workers
        self._exclusive = [False] * workers  #: has one job that must stay alone
        self._home: dict[int, int] = {}  #: trial -> worker that trained it last
        self._alone: deque[Job] = deque()  #: jobs that wait for an idle worker of their own
        self._unit_seconds: float | None = None

    @property
    def in_flight(self) -> int:
        """Batches that have not come back, and jobs that wait for a worker of their own."""
        return sum(self._outstanding) + len(self._alone)

    @property
    def outstanding(self) -> int:
        """Batches that were submitted and have not come back."""
        return sum(self._outstanding)

    @property
    def lonely(self) -> int:
        """Jobs that wait for an idle worker of their own."""
        return len(self._alone)

    @property
    def recovering(self) -> bool:
        """Whether a worker is being replaced."""
        return not all(self._available)

    # --- how much to ask for -----------------------------------------------------------------

    def open_workers(self) -> list[int]:
        """Return the workers that should get a batch now, idle ones first."""
        depth = DEPTH if self._short() and not self._alone else 1
        workers = [
            worker
            for worker, outstanding in enumerate(self._outstanding)
            if self._available[worker] and not self._exclusive[worker] and outstanding < depth
        ]
        return sorted(workers, key=self._outstanding.__getitem__)

    def _short(self) -> bool:
        return self._unit_seconds is not None and self._unit_seconds < BATCH_SECONDS / 2

    def enough(self, jobs: int, units: int, workers: int) -> bool:
        """Return whether so many workers are well served with so many jobs of so many units in all."""
        if jobs < workers:
            return False
        if self._unit_seconds is None or jobs >= BATCH_JOBS * workers:
            return True
        return units * self._unit_seconds >= BATCH_SECONDS * workers

    # --- who gets what -----------------------------------------------------------------------

    def assign(self, jobs: Sequence[Job], workers: Sequence[int]) -> list[tuple[int, list[Job]]]:
        """Deal jobs to workers.

        Args:
            jobs: What ``ask`` gave.
            workers: What ``open_workers`` gave.

        Returns:
            Worker and batch, for each worker that gets one. Jobs that must travel alone may stay here for later.
        """
        self._alone.extend(job for job in jobs if job.attempt > 1)
        batches = self._assign_alone(workers)
        taken = {worker for worker, _ in batches}
        free = [worker for worker in workers if worker not in taken]
        ordinary = [job for job in jobs if job.attempt == 1]
        if ordinary and not free:  # every open worker was needed for a lonely job: the rest follows it
            self._alone.extend(ordinary)
            ordinary = []
        dealt = self._deal(ordinary, free)
        batches += [(worker, batch) for worker, batch in dealt.items() if batch]
        for worker, batch in batches:
            self._outstanding[worker] += 1
            self._home.update((job.trial, worker) for job in batch)
        return batches

    def _assign_alone(self, workers: Sequence[int]) -> list[tuple[int, list[Job]]]:
        batches = []
        for worker in workers:
            if self._alone and self._outstanding[worker] == 0:
                self._exclusive[worker] = True
                batches.append((worker, [self._alone.popleft()]))
        return batches

    def _deal(self, jobs: Sequence[Job], workers: Sequence[int]) -> dict[int, list[Job]]:
        """Spread jobs evenly; within its share a worker gets the trials it trained last."""
        batches: dict[int, list[Job]] = {worker: [] for worker in workers}
        if not jobs:
            return batches
        share = -(-len(jobs) // len(workers))
        strangers = []
        for job in jobs:
            home = batches.get(self._home.get(job.trial, -1))
            if home is not None and len(home) < share:
                home.append(job)
            else:
                strangers.append(job)
        for job in strangers:
            min(batches.values(), key=len).append(job)
        return batches

    # --- what came back ----------------------------------------------------------------------

    def came_back(self, worker: int, *, available: bool) -> None:
        """Note that a batch came back, that its worker died, or (an empty batch) that a successor is ready."""
        if not available:
            self._outstanding[worker] = 0
        elif self._available[worker]:
            self._outstanding[worker] -= 1
        self._available[worker] = available
        self._exclusive[worker] = False

    def trained(self, units: int, seconds: float) -> None:
        """Learn how long a unit of resource takes."""
        now = seconds / max(units, 1)
        before = self._unit_seconds
        self._unit_seconds = now if before is None else before + _NEWEST * (now - before)

    def forget(self, trial: int) -> None:
        """Drop a trial that has ended."""
        self._home.pop(trial, None)
