"""Recorded learning curves as something to search: the training of yesterday, replayed in virtual time.

A table holds, for each of n configs, the value of a metric at F resource levels, and perhaps the seconds it took to get
there. A search over it picks rows; ``Simulated(curve=curves, cost=curves.cost)`` plays them back exactly.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hyperband.errors import ConfigurationError
from hyperband.messages import Config, Job
from hyperband.space import Space, choice


class RecordedCurves:
    """A table of learning curves, callable as ``curve(config, resource)``.

    The resource is the number of the level, 1 to F. A value that was not recorded is NaN, as is a diverged one: such
    a trial ranks last.

    Attributes:
        space: One hyperparameter, ``row``: which curve.
        metric, mode: For ``hb.run``.
        max_resource: F.

    Args:
        values: Shape (n, F): metric of config i at level j + 1.
        metric: Its name.
        mode: ``"min"`` or ``"max"``.
        seconds: Shape (n, F): seconds that config i has been trained for at level j + 1; None: one second a level.

    Raises:
        ConfigurationError: The shapes are not as said, or seconds do not grow.
    """

    def __init__(
        self, values: Any, *, metric: str = "value", mode: Literal["min", "max"] = "min", seconds: Any = None
    ) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        if self.values.ndim != 2 or 0 in self.values.shape:
            msg = f"`values` has shape {self.values.shape}, must be (configs, levels)"
            raise ConfigurationError(msg)
        self.seconds = None if seconds is None else np.asarray(seconds, dtype=np.float64)
        if self.seconds is not None:
            steps = np.diff(self.seconds, axis=1, prepend=0.0) if self.seconds.shape == self.values.shape else None
            if steps is None or bool(np.any(steps < 0)):
                msg = f"`seconds` must have the shape {self.values.shape} of `values` and not fall along a curve"
                raise ConfigurationError(msg)
        self.metric = metric
        self.mode = mode
        self.space = Space({"row": choice(list(range(len(self.values))))})
        self.max_resource = self.values.shape[1]

    @classmethod
    def read(cls, path: Path | str, *, seed: int = 0) -> "RecordedCurves":
        """Read a table from an ``.npz`` file.

        Args:
            path: An archive with ``metric``, ``mode`` and ``curve_<metric>`` of shape (n, F) or (n, seeds, F), and
                perhaps ``curve_time`` of the same shape (cumulative seconds).
            seed: Which of the recorded seeds to replay, where there are several.
        """
        with np.load(path) as archive:
            metric, mode = str(archive["metric"]), str(archive["mode"])
            values = _of_seed(archive[f"curve_{metric}"], seed)
            seconds = _of_seed(archive["curve_time"], seed) if "curve_time" in archive.files else None
        if seconds is not None and not np.isfinite(seconds).all():
            seconds = None
        return cls(values, metric=metric, mode="max" if mode == "max" else "min", seconds=seconds)

    def __call__(self, config: Config, resource: int) -> Mapping[str, float]:
        """Return the metric of a row at a level."""
        return {self.metric: float(self.values[config["row"], resource - 1])}

    def cost(self, job: Job) -> float:
        """Return the seconds that a job took when it was recorded."""
        segment = job.segment
        if self.seconds is None:
            return float(segment.units)
        row = self.seconds[job.config["row"]]
        before = row[segment.start - 1] if segment.start else 0.0
        return float(max(row[segment.stop - 1] - before, 1e-9))


def _of_seed(values: Any, seed: int) -> Any:
    return values[:, seed] if values.ndim == 3 else values
