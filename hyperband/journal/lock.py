"""The driver's lock: one writer per experiment, released by the kernel however the driver ends.

``flock`` on a file, because it goes away with the process even after ``kill -9``; a file whose mere existence
means "locked" would have to be judged by age. The text in the file is for people only.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from hyperband.errors import LockedError, StorageError


class DriverLock:
    """Holds ``<directory>/lock`` until ``release``.

    Args:
        directory: The journal directory; it must exist.
        wall: Seconds since 1970, written into the file as the start of the holder.

    Raises:
        LockedError: Another driver holds it; the message names host, process and start.
        StorageError: The file system refuses the file or knows no locks.
    """

    __slots__ = ("_handle", "path")

    def __init__(self, directory: Path, wall: float) -> None:
        self.path = directory / "lock"
        self._handle = -1
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            message = f"the lock `{self.path}` cannot be opened: {error.strerror}; is the storage writable?"
            raise StorageError(message) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holder = {"host": socket.gethostname(), "pid": os.getpid(), "wall": wall}
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(holder).encode() + b"\n", 0)
        except BlockingIOError as error:
            message = (
                f"another driver writes the experiment `{directory.parent}`: {_describe(handle)}; "
                "wait for it, or end it first, then resume"
            )
            os.close(handle)
            raise LockedError(message) from error
        except OSError as error:
            os.close(handle)
            message = f"the lock `{self.path}` cannot be taken: {error.strerror}; use a storage that supports flock"
            raise StorageError(message) from error
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; a second call does nothing.

        Only closes the file: in a forked child an unlock would take the lock from the parent, a close does not.
        """
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def _describe(handle: int) -> str:
    """Return who holds the lock, as far as the file tells."""
    holder: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        holder = json.loads(os.pread(handle, 4096, 0))
    if not isinstance(holder, dict):
        return "its process is not known"
    since = ""
    with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
        since = time.strftime(", since %Y-%m-%d %H:%M:%S UTC", time.gmtime(holder["wall"]))
    return f"process {holder.get('pid')!r} on host {holder.get('host')!r}{since}"
