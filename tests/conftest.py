"""Fixtures that several rooms share."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """An empty directory for experiments."""
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A real Ray on this machine with four virtual CPUs, shared by all tests of the session."""
    import ray

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
