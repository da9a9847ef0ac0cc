"""Telling whether a driver lives, without touching its lock."""

import subprocess
import sys
from pathlib import Path

import pytest

from hyperband.clock import VirtualClock
from hyperband.journal import Journal
from hyperband.results.liveness import driver_alive

HOLDER = """
import sys
from hyperband.clock import VirtualClock
from hyperband.journal import Journal
journal = Journal.create(sys.argv[1], VirtualClock(), durability="none")
print("held", flush=True)
sys.stdin.read()
"""

needs_locks = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="this system lists no locks")


@needs_locks
def test_a_driver_lives_until_it_is_killed(tmp_path: Path) -> None:
    """True while another process holds the lock, False once it was killed, although its text is still there."""
    journal = tmp_path / "journal"
    command = [sys.executable, "-c", HOLDER, str(journal)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        assert driver_alive(journal) is True
        driver.kill()
        driver.wait()
    assert (journal / "lock").read_text()
    assert driver_alive(journal) is False


@needs_locks
def test_looking_never_turns_a_driver_away(tmp_path: Path) -> None:
    """A driver that is looked at keeps its lock, and one that comes after it gets it."""
    with Journal.create(tmp_path / "journal", VirtualClock(), durability="none"):
        assert driver_alive(tmp_path / "journal") is True
    assert driver_alive(tmp_path / "journal") is False
    with Journal.open(tmp_path / "journal", VirtualClock(), durability="none"):
        assert driver_alive(tmp_path / "journal") is True


def test_what_cannot_be_known_is_not_claimed(tmp_path: Path) -> None:
    """A driver on another host, or a lock file that says nothing, gives None; no file at all, False."""
    assert driver_alive(tmp_path) is False
    (tmp_path / "lock").write_text('{"host": "far-away.invalid", "pid": 1, "wall": 0}')
    assert driver_alive(tmp_path) is None
    (tmp_path / "lock").write_text("")
    assert driver_alive(tmp_path) is None
