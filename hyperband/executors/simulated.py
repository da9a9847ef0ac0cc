"""Many workers in virtual time: exact, single-threaded, and as fast as the decisions themselves.

What a segment reports comes either from a curve - a function of config and resource, such as a recorded learning
curve - or from the real trainable, run in this process. How long it takes comes from a cost model. Nothing sleeps; the
clock jumps from one finished batch to the next. Ties are broken by the order of submission, so that a simulation is a
function of its arguments.
"""

import hashlib
import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from hyperband.clock import VirtualClock
from hyperband.errors import ConfigurationError, MetricError
from hyperband.executors.base import Batch, Returned, Work
from hyperband.executors.inline import Inline
from hyperband.messages import Checkpoint, Config, Failed, FailureKind, Job, Reported
from hyperband.planning import require_int
from hyperband.search import read_metric
from hyperband.trainable import as_numbers

Curve: TypeAlias = Callable[[Config, int], Mapping[str, float]]
Cost: TypeAlias = Callable[[Job], float]


class Simulated:
    """Executor in virtual time.

    Args:
        workers: How many, >= 1.
        cost: Virtual seconds that a job takes, > 0; by default one second per unit of resource.
        curve: Metrics of a config after so many units; without it the trainable is really run.

    Raises:
        ConfigurationError: ``workers`` is out of range.
    """

    name = "simulated"

    def __init__(self, workers: int = 1, *, cost: Cost | None = None, curve: Curve | None = None) -> None:
        self._workers = require_int("workers", workers, 1)
        self._cost = cost or _one_second_per_unit
        self._curve = curve
        self._metric = ""
        self._inline = Inline()
        self._clock = VirtualClock()
        self._free = [0.0] * workers  #: when each worker is through with what it was given
        self._events: list[tuple[float, int, Batch]] = []
        self._count = 0
        self.busy = 0.0  #: virtual worker-seconds spent training; utilisation = busy / (workers * now)

    @property
    def needs_trainable(self) -> bool:
        """Not if there is a curve."""
        return self._curve is None

    def start(self, work: Work) -> int:
        """Begin at virtual time zero."""
        self._metric = work.metric
        if self._curve is None:
            self._inline.start(work)
        return self._workers

    def submit(self, worker: int, jobs: Sequence[Job]) -> None:
        """Compute the batch now; it is given back when its virtual time has come."""
        moment = max(self._clock.monotonic(), self._free[worker])
        returned = []
        for job in jobs:
            seconds = self._cost(job)
            if not seconds > 0:
                msg = f"the cost of trial {job.trial}, {job.segment.units} units, is {seconds!r}; must be > 0 seconds"
                raise ConfigurationError(msg)
            moment += seconds
            self.busy += seconds
            result = self._run(job)
            returned.append(Returned(result.event, {**result.info, "seconds": seconds}))
        self._free[worker] = moment
        heapq.heappush(self._events, (moment, self._count, Batch(worker, tuple(returned))))
        self._count += 1

    def _run(self, job: Job) -> Returned:
        if self._curve is None:
            self._inline.submit(0, [job])
            return self._inline.wait(None)[0].returned[0]
        try:
            metrics = as_numbers(self._curve(job.config, job.segment.stop))
            read_metric(metrics, self._metric)
        except MetricError as error:
            return Returned(Failed(job.trial, job.segment, job.attempt, FailureKind.METRIC, str(error)))
        except Exception as error:  # noqa: BLE001 - a curve is user code
            message = f"{type(error).__name__}: {error}"
            return Returned(Failed(job.trial, job.segment, job.attempt, FailureKind.EXCEPTION, message))
        checkpoint = _imagined(job)
        return Returned(Reported(job.trial, job.segment, job.attempt, metrics, checkpoint, job.segment.stop))

    def wait(self, timeout: float | None) -> list[Batch]:  # noqa: ARG002 - virtual time does not wait
        """Jump to the next finished batch; batches that finish at the same moment come together."""
        if not self._events:
            return []
        moment = self._events[0][0]
        self._clock.advance_to(moment)
        ready = []
        while self._events and self._events[0][0] <= moment:
            ready.append(heapq.heappop(self._events)[2])
        return ready

    def now(self) -> float:
        """Virtual seconds."""
        return self._clock.monotonic()

    def close(self) -> None:
        """Forget what is in flight."""
        self._events.clear()
        self._inline.close()


def _one_second_per_unit(job: Job) -> float:
    return float(job.segment.units)


def _imagined(job: Job) -> Checkpoint:
    """Return a handle with no bytes behind it; curves have no state."""
    text = f"{job.trial}/{job.segment.stop}-{job.attempt}"
    return Checkpoint(job.trial, job.segment.stop, job.attempt, hashlib.sha256(text.encode()).hexdigest(), 0)
