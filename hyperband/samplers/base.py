"""What a sampler is: a rule that proposes configs, without a memory of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from hyperband.messages import Config
from hyperband.space import Space


@dataclass(frozen=True, slots=True)
class Observation:
    """What one trial reached at one rung: the only thing an adaptive sampler learns from."""

    trial: int
    config: Config
    resource: int  #: units trained; scores of different resources are not comparable
    score: float | None  #: finite and lower is better, whatever the user's mode; None: failed, or not finite


History: TypeAlias = Sequence[Observation]


@runtime_checkable
class Sampler(Protocol):
    """Proposes configs.

    A sampler keeps no state that a call of ``propose`` changes: the same arguments give the same config, in any
    order of calls, in any process, before and after a resume. Whatever it wants to remember is in ``history``.
    It changes neither ``space`` nor ``history``, and every config it returns is a new object and legal in ``space``.
    Make it a frozen dataclass whose fields are plain JSON values: they are recorded in the journal, and a resume
    with other ones is refused.
    """

    @property
    def name(self) -> str:
        """The name that the journal and the command line use."""

    @property
    def adaptive(self) -> bool:
        """True if ``propose`` reads ``history``; the order of results then changes the configs."""

    def size(self, space: Space) -> int | None:
        """Return how many different configs it can propose at most, None if there is no limit."""

    def propose(self, space: Space, index: int, rng: np.random.Generator, history: History) -> Config | None:
        """Return config ``index`` of the experiment.

        Args:
            space: Where to search.
            index: Number of the config in the experiment, from 0.
            rng: ``config_rng(seed, index)``, fresh; the only source of randomness.
            history: What was observed so far, in the order of the journal; empty unless ``adaptive``.

        Returns:
            A config, or None if this index and all greater ones have none.
        """
