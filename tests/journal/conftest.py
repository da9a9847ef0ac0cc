"""Journals to read and to damage."""

import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hyperband.clock import VirtualClock
from hyperband.journal import Journal

RECORDS = [
    {"type": "experiment", "name": "cifar", "seed": 7},
    {"type": "start", "trial": 0, "config": {"lr": 0.1, "opt": "ädam\u2028"}},
    {"type": "committed", "trial": 0, "metrics": {"loss": "NaN", "accuracy": 0.5}, "done": False},
    {"type": "promote", "trial": 0, "cutoff": None},
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the journal of an experiment will be."""
    return tmp_path / "experiment" / "journal"


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that stands still."""
    return VirtualClock(1_700_000_000.0)


@pytest.fixture
def open_journal(directory: Path, clock: VirtualClock) -> Iterator[Callable[[], Journal]]:
    """Create the journal on the first call, open it on later ones; closes what the test left open."""
    opened: list[Journal] = []

    def make() -> Journal:
        begin = Journal.open if directory.exists() else Journal.create
        opened.append(begin(directory, clock, durability="none"))
        return opened[-1]

    yield make
    for journal in opened:
        journal.close()


@pytest.fixture
def two_epochs(directory: Path, open_journal: Callable[[], Journal]) -> Path:
    """A journal of two drivers, two records each besides the beginnings of their epochs."""
    for records in (RECORDS[:2], RECORDS[2:]):
        with open_journal() as journal:
            for record in records:
                journal.append(record)
    return directory


@pytest.fixture
def in_child() -> Callable[[Callable[[], object]], int]:
    """Run a function in a forked child and return its exit status: 0, or 1 if it raised, or what it died with."""

    def run(function: Callable[[], object]) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # later Pythons warn of threads; the children here use none of them
            child = os.fork()
        if child == 0:
            status = 1
            try:
                function()
                status = 0
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return run


@pytest.fixture
def die_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make this process end without any clean-up at its n-th call (from 0) that changes the file system."""

    def arm(number: int) -> None:
        calls = itertools.count()

        def dying(real: Callable[..., object]) -> Callable[..., object]:
            def call(*args: object, **kwargs: object) -> object:
                if next(calls) == number:
                    os._exit(9)
                return real(*args, **kwargs)

            return call

        for name in ("open", "write", "fsync", "ftruncate", "mkdir", "rename", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, dying(getattr(os, name)))

    return arm
