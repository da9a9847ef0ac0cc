"""What a trial changes in its process is taken back when its segment ends, so that no trial changes another."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Restore working directory, environment, and torch's grad mode, default dtype and threads on exit."""
    directory = Path.cwd()
    environment = dict(os.environ)
    torch = sys.modules.get("torch")
    modes = None
    if torch is not None:
        modes = (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads())
    try:
        yield
    finally:
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        with contextlib.suppress(OSError):
            os.chdir(directory)
        if torch is not None and modes is not None:
            grad, dtype, threads = modes
            torch.set_grad_enabled(grad)
            if torch.get_default_dtype() != dtype:
                torch.set_default_dtype(dtype)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
