"""Whether a driver is alive, found out without touching its lock.

Trying the lock would tell for sure, but for that instant it would belong to the reader, and a driver that starts just
then would be turned away. So a reader only looks: Linux lists all held locks in ``/proc/locks``.
"""

import json
import os
import socket
from pathlib import Path
from typing import Any


def driver_alive(journal: Path) -> bool | None:
    """Tell whether some process holds the driver's lock.

    Args:
        journal: The journal directory.

    Returns:
        True, False, or None if it cannot be known from here (another host, a system without ``/proc/locks``).
    """
    path = journal / "lock"
    try:
        text = path.read_bytes()[:4096]
        inode = path.stat().st_ino
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        holder: Any = json.loads(text)
        pid, host = int(holder["pid"]), str(holder["host"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if host != socket.gethostname():
        return None
    return _holds(pid, inode)


def _holds(pid: int, inode: int) -> bool | None:
    """Look for a lock of ``pid`` on ``inode``; the device is left out, some file systems report another one there."""
    try:
        table = Path("/proc/locks").read_text("ascii", "replace")
    except OSError:
        return _exists(pid)
    for line in table.splitlines():
        words = line.split()  # "1: FLOCK  ADVISORY  WRITE 4242 00:2a:1234 0 EOF"; a waiting one has "->" second
        if len(words) >= 6 and words[1] == "FLOCK" and words[4] == str(pid) and words[5].endswith(f":{inode}"):
            return True
    return False


def _exists(pid: int) -> bool | None:
    """Without a table of locks: a dead process holds none, a living one may be another by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return None
    return None
