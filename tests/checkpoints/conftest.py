"""Processes that die at a chosen moment."""

import itertools
import os
import warnings
from collections.abc import Callable

import pytest


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

        for name in ("open", "write", "writev", "fsync", "ftruncate", "mkdir", "link", "rename", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, dying(getattr(os, name)))

    return arm
