"""One worker in the caller's own process: debuggers stop where you expect, nothing is started.

Numerical threads are set as in a worker process and the caller's random number generators are left as they were, so
a run gives the same results here and on Ray.
"""

import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import cloudpickle

from hyperband import randomness
from hyperband.errors import HyperbandError, TrainableError
from hyperband.executors.base import Batch, Work
from hyperband.executors.runner import SegmentRunner, load_data
from hyperband.executors.threads import limited_threads
from hyperband.messages import Job


class Inline:
    """Executor without processes. User code that kills its process kills yours here: that is the price.

    Segments run inside ``wait``, so that a first Ctrl-C can let the running one end.
    """

    name = "inline"
    needs_trainable = True

    def __init__(self) -> None:
        self._runner: SegmentRunner | None = None
        self._queue: deque[Sequence[Job]] = deque()
        self._threads = 1
        self._script: Any = None  #: the user's script, a module, while its classes are pickled by value

    def start(self, work: Work) -> int:
        """Load the data and the trainable here."""
        self._threads = work.threads
        self._script = sys.modules.get(work.script)
        if self._script is not None:  # so that a resume elsewhere finds the classes of the states in the states
            cloudpickle.register_pickle_by_value(self._script)
        with randomness.preserved():
            try:
                self._runner = SegmentRunner(work, load_data(work.data))
            except HyperbandError:
                raise
            except Exception as error:
                msg = f"trainable or data could not be loaded: {error!r}; is the module they need on the import path?"
                raise TrainableError(msg) from error
        return 1

    def submit(self, worker: int, jobs: Sequence[Job]) -> None:  # noqa: ARG002 - there is only worker 0
        """Queue the batch."""
        self._queue.append(jobs)

    def wait(self, timeout: float | None) -> list[Batch]:  # noqa: ARG002 - training takes what it takes
        """Run the oldest batch."""
        if not self._queue or self._runner is None:
            return []
        jobs = self._queue.popleft()
        with randomness.preserved(), limited_threads(self._threads):
            return [Batch(0, tuple(self._runner.run_batch(jobs)))]

    def now(self) -> float:
        """Real seconds."""
        return time.monotonic()

    def close(self) -> None:
        """Forget everything."""
        if self._script is not None:
            cloudpickle.unregister_pickle_by_value(self._script)
            self._script = None
        self._queue.clear()
        self._runner = None
