"""Cleans up after a driver that was killed: no Ray process outlives it, nothing is left in the temporary directory.

A killed driver takes its local Ray down by itself, but two of Ray's helper processes linger for a minute, and the
session's files stay for ever. This program holds the read end of a pipe whose write end only the driver has. When the
driver ends - in whatever way - the pipe breaks, and the program kills every process that has a file open below the
driver's private temporary directory, then removes the directory. It imports nothing but the standard library.

    python -I -S watchdog.py DIRECTORY < pipe
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

#: Rounds of killing; a process that is just being born may be missed by one.
ROUNDS = 20


def processes_below(directory: str, driver: int) -> list[int]:
    """Return the processes that have a file open below ``directory``, without the driver if it lives on.

    Linux only; elsewhere none are found, and Ray's helpers end by themselves after a minute.
    """
    prefix = directory.rstrip("/") + "/"
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()).startswith(prefix) for link in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:  # it ended while we looked, or is not ours
            continue
    return [pid for pid in found if pid not in {os.getpid(), driver}]


def clean_up(directory: str, driver: int) -> None:
    """Kill what is left and remove the directory."""
    for _ in range(ROUNDS):
        left = processes_below(directory, driver)
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.1)
    shutil.rmtree(directory, ignore_errors=True)


def main() -> None:
    """Wait for a byte or for the pipe to break, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    driver = os.getppid()
    sys.stdin.buffer.read(1)
    clean_up(sys.argv[1], driver)


if __name__ == "__main__":
    main()
