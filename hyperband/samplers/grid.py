"""Grid search: every combination of evenly spaced values, in a fixed order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hyperband.messages import Config
from hyperband.samplers.base import History
from hyperband.space import DEFAULT_POINTS, Space, check_points


@dataclass(frozen=True, slots=True)
class GridSampler:
    """Proposes the configs of ``space.grid(points)``, each once, in an order that is spread over the whole grid.

    The order is fixed: config i is place i * stride of the grid, modulo its size, where the stride is near the golden
    ratio of the size and has no factor in common with it. So the first n configs are no corner of the space, whatever
    n is; that matters when the plan has fewer trials than the grid has configs, and for brackets, which take
    consecutive indices.

    Args:
        points: How many values a numeric hyperparameter has: one number >= 1 for all, or a dict from paths to
            numbers; those left out have 5. A choice has all its options.

    Raises:
        ConfigurationError: A number of points is not an integer >= 1.
    """

    name: ClassVar[str] = "grid"
    adaptive: ClassVar[bool] = False

    points: int | Mapping[str, int] = DEFAULT_POINTS

    def __post_init__(self) -> None:
        """Check the points and keep a copy of them."""
        check_points(self.points)
        if isinstance(self.points, Mapping):
            object.__setattr__(self, "points", dict(self.points))

    def size(self, space: Space) -> int:
        """Return how many configs the grid has.

        Raises:
            SpaceError: ``points`` names a path that is not in the space, or a choice.
        """
        return space.grid(self.points).size

    def propose(
        self,
        space: Space,
        index: int,
        rng: np.random.Generator,  # noqa: ARG002
        history: History,  # noqa: ARG002
    ) -> Config | None:
        """Return the config at place ``index`` of the order above, None beyond the end."""
        grid = space.grid(self.points)
        return grid[index * _stride(grid.size) % grid.size] if index < grid.size else None


def _stride(size: int) -> int:
    """Return the number nearest below size / golden ratio that is coprime to ``size``, in integers alone."""
    stride = max(1, size * 618_033_988_749 // 10**12)
    while math.gcd(stride, size) != 1:
        stride -= 1
    return stride
