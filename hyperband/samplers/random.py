"""Random search: every config drawn by itself."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hyperband.messages import Config
from hyperband.samplers.base import History
from hyperband.space import Space


@dataclass(frozen=True, slots=True)
class RandomSampler:
    """Draws every config from the space, independent of all others; a small space repeats itself."""

    name: ClassVar[str] = "random"
    adaptive: ClassVar[bool] = False

    def size(self, space: Space) -> None:  # noqa: ARG002 - the same for every space
        """Return None: draws are independent, so there is always another one."""
        return

    def propose(self, space: Space, index: int, rng: np.random.Generator, history: History) -> Config:  # noqa: ARG002
        """Return one draw from the space."""
        return space.sample(rng)
