"""Grid search: every combination of evenly spaced values, in a fixed order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hyperband.messages import Config
from hyperband.samplers.base import History
from hyperband.space import DEFAULT_POINTS, Space, check_points


@dataclass(frozen=True, slots=True)
class GridSampler:
    """Proposes the configs of ``space.grid(points)`` in its order, the last hyperparameter changing fastest.

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
        """Return config ``index`` of the grid, None beyond its end."""
        grid = space.grid(self.points)
        return grid[index] if index < grid.size else None
