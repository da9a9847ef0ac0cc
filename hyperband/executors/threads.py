"""Threads of numerical libraries: as many as a worker reserves CPUs, so that no result depends on the machine."""

import contextlib
import os
import sys
from collections.abc import Iterator


def set_threads(threads: int) -> None:
    """Let torch use so many threads, now or when it is imported; results then do not depend on the machine."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    else:
        os.environ["OMP_NUM_THREADS"] = str(threads)


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Like ``set_threads``, for a process that is not ours: what was set before comes back."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    variable = os.environ.get("OMP_NUM_THREADS")
    set_threads(threads)
    try:
        yield
    finally:
        if variable is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = variable
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(before or len(os.sched_getaffinity(0)))
