"""Hyperband with a finite horizon (Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, JMLR 18(185), 2018, Algorithm 1)."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from hyperband.messages import Json
from hyperband.planning import (
    Plan,
    Sizing,
    bracket_plan,
    power_steps,
    require_resources,
    require_sizing,
    rung_resources,
    rung_sizes,
)
from hyperband.schedulers.base import friendly
from hyperband.schedulers.composed import ComposedBrackets


@friendly
@dataclass(frozen=True)
class Hyperband:
    """Every trade-off between many short and few long trials, one bracket each; synchronous.

    Brackets run from the most aggressive (s = s_max: most trials, smallest first rung) to plain random search
    (s = 0), as in Algorithm 1, line 2. A bracket's free places are filled from the next bracket, so no worker idles.

    Args:
        max_resource: R, units a trial that is never cut is trained for, >= 1.
        eta: 1/eta of a rung goes up, integer >= 2. The paper uses 3 or 4.
        min_resource: Smallest first rung in units, 1..max_resource (the paper has 1).
        sizing: ``"paper"`` (Algorithm 1), ``"table"`` (the paper's Table 1, used by HpBandSter, DEHB, NePS) or
            ``"ceil"`` (rungs rounded up, used by Ray Tune and Keras Tuner).

    Raises:
        ConfigurationError: An argument is out of range.
        UnknownNameError: ``sizing`` is none of the three.

    Example:
        ``print(Hyperband(max_resource=81, eta=3).plan())``
    """

    max_resource: int
    eta: int = 3
    min_resource: int = 1
    sizing: Sizing = "paper"
    name: ClassVar[str] = "hyperband"

    def __post_init__(self) -> None:
        require_resources(self.max_resource, self.min_resource, self.eta)
        require_sizing(self.sizing)

    def plan(self) -> Plan:
        """Return the table of brackets and rungs, exact, before anything starts."""
        s_max = power_steps(self.max_resource, self.eta, self.min_resource)
        brackets = tuple(
            bracket_plan(rung_sizes(s, s_max, self.eta, self.sizing), rung_resources(self.max_resource, self.eta, s))
            for s in range(s_max, -1, -1)
        )
        return Plan("Hyperband", self.max_resource, self.eta, brackets)

    def begin(self, plan: Plan) -> ComposedBrackets:
        """Return a fresh state machine for the plan."""
        return ComposedBrackets(plan)

    def to_json(self) -> Json:
        """Return name and arguments."""
        return {"name": self.name, **asdict(self)}
