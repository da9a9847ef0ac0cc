"""Recorded curves are replayed exactly, in virtual time."""

from pathlib import Path

import numpy as np
import pytest

import hyperband as hb
from hyperband.errors import ConfigurationError
from hyperband.executors import RecordedCurves

RNG = np.random.default_rng(0)
TABLE = RNG.random((40, 27)) + np.linspace(1, 0, 27)
SECONDS = np.cumsum(RNG.random((40, 27)), axis=1)


def search(curves: RecordedCurves, storage: Path, workers: int = 4) -> tuple[hb.Result, hb.Simulated]:
    """Hyperband over a table."""
    executor = hb.Simulated(workers, curve=curves, cost=curves.cost)
    result = hb.run(
        None,  # nothing is trained: the executor asks the curve
        curves.space,
        metric=curves.metric,
        mode=curves.mode,
        scheduler=hb.Hyperband(curves.max_resource, 3),
        executor=executor,
        storage=storage,
        durability="none",
        progress="off",
    )
    return result, executor


def test_every_reported_value_is_the_recorded_one(storage: Path) -> None:
    """At the level of its rung."""
    result, _ = search(RecordedCurves(TABLE, metric="loss"), storage)
    for trial in result.trials:
        assert trial.value == TABLE[trial.config["row"], trial.resource - 1]


def test_virtual_time_is_the_recorded_time(storage: Path) -> None:
    """With one worker: the sum of what was trained; with many: less, and never below the longest trial."""
    curves = RecordedCurves(TABLE, metric="loss", seconds=SECONDS)
    result, alone = search(curves, storage / "1", workers=1)
    total = sum(SECONDS[t.config["row"], t.resource - 1] for t in result.trials)
    assert alone.now() == pytest.approx(total)
    _, many = search(curves, storage / "16", workers=16)
    assert max(SECONDS[t.config["row"], -1] for t in result.trials if t.resource == 27) <= many.now() < total / 4


def test_a_table_is_read_from_a_file_with_and_without_seeds(tmp_path: Path) -> None:
    """NaN stays NaN and ranks last."""
    values = np.stack([TABLE, TABLE + 1], axis=1).astype(np.float32)
    values[3, :, 5:] = np.nan
    np.savez(tmp_path / "t.npz", metric="loss", mode="min", curve_loss=values, curve_time=np.stack([SECONDS] * 2, 1))
    curves = RecordedCurves.read(tmp_path / "t.npz", seed=1)
    assert curves({"row": 2}, 27)["loss"] == pytest.approx(TABLE[2, 26] + 1, rel=1e-6)
    assert np.isnan(curves({"row": 3}, 27)["loss"])
    assert curves.seconds is not None
    result, _ = search(curves, tmp_path / "runs")
    assert np.isfinite(result.best.value)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2))])
def test_a_wrong_shape_is_named(values: np.ndarray) -> None:
    """Before anything runs."""
    with pytest.raises(ConfigurationError, match="shape"):
        RecordedCurves(values)


def test_seconds_that_fall_are_refused() -> None:
    """Time does not run backwards."""
    with pytest.raises(ConfigurationError, match="not fall"):
        RecordedCurves(TABLE, seconds=SECONDS[:, ::-1])
