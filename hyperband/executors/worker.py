"""The object that lives in a worker process: a segment runner behind two methods that speak JSON.

It is a plain class, so that this file - like every file but ``ray.py`` - can be imported without Ray. Everything it
returns is text: the driver never rebuilds an object or an exception of the user's code.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyperband.executors.base import Work
from hyperband.executors.runner import SegmentRunner, load_data
from hyperband.executors.threads import set_threads
from hyperband.messages import Job, to_json


class WorkerProcess:
    """Runs segments of any trial, one after another, for as long as the experiment lasts."""

    def __init__(self, work: Work, path: Sequence[str], data: Any) -> None:
        """Only remember the arguments: an actor whose constructor raises is harder to understand than one that says so.

        Args:
            work: What to run.
            path: The driver's import path; modules found there are found here.
            data: The loaded data, out of the object store.
        """
        self._work = work
        self._path = path
        self._data = data
        self._runner: SegmentRunner | None = None

    def open(self, probe: str) -> str:
        """Get ready, and say how it went.

        Args:
            probe: Name of a file that the driver has just put beside the checkpoints.

        Returns:
            JSON with ``pid``, and ``error`` and ``traceback`` or ``shared: false`` if something is wrong.
        """
        # Ray's own handler raises SystemExit in the middle of training, which would look like the trial's own failure;
        # a worker that is told to go is lost, and its segments are trained again.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
        try:
            extend_path(self._path)
            set_threads(self._work.threads)
            self._runner = SegmentRunner(self._work, self._data)
            shared = Path(self._work.checkpoints, probe).exists()
        except Exception as error:  # noqa: BLE001 - whatever unpickling the user's code raises has to be reported
            return json.dumps({"pid": os.getpid(), "error": repr(error), "traceback": traceback.format_exc()})
        set_threads(self._work.threads)  # again: unpickling may have imported torch
        return json.dumps({"pid": os.getpid(), "shared": shared})

    def run(self, jobs: Sequence[Job]) -> str:
        """Train a batch of segments one by one.

        Returns:
            JSON: a list of [event, info], in the order of the jobs.
        """
        if self._runner is None:
            msg = "the worker was not opened"
            raise RuntimeError(msg)
        pid = os.getpid()
        rows = [[to_json(r.event), {**r.info, "pid": pid}] for r in self._runner.run_batch(jobs)]
        return json.dumps(rows, separators=(",", ":"), allow_nan=False)


def load_data_in_worker(source: bytes, path: Sequence[str]) -> tuple[str, Any]:
    """Load the data once, in a process that ends afterwards; its return value is what lives in the object store.

    Returns:
        An error text (empty if all went well) and the data.
    """
    try:
        extend_path(path)
        return "", load_data(source)
    except Exception:  # noqa: BLE001 - the loader is user code
        return traceback.format_exc(), None


def extend_path(path: Sequence[str]) -> None:
    """Append what is missing from the driver's import path."""
    sys.path.extend(entry for entry in path if entry not in sys.path)
