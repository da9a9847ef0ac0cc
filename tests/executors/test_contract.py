"""All executors keep one contract."""

import pytest

from hyperband.executors import Executor, Inline, Simulated
from hyperband.testing.executors import ExecutorContract


class TestInline(ExecutorContract):
    """In this process."""

    survives_process_death = False

    def make_executor(self) -> Executor:
        """A fresh one."""
        return Inline()


class TestSimulated(ExecutorContract):
    """In virtual time, with real training."""

    survives_process_death = False

    def make_executor(self) -> Executor:
        """A fresh one."""
        return Simulated(3, cost=lambda job: 1.0 + job.trial)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
class TestRay(ExecutorContract):
    """On a real Ray with two actors."""

    def make_executor(self) -> Executor:
        """A fresh one."""
        from hyperband.executors.ray import Ray

        return Ray(max_concurrent=2)
