"""Successive halving: one bracket (Jamieson & Talwalkar, AISTATS 2016; the inner loop of Hyperband)."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from hyperband.messages import Json
from hyperband.planning import Plan, bracket_plan, power_steps, require_int, require_resources, rung_resources
from hyperband.schedulers.base import friendly
from hyperband.schedulers.composed import ComposedBrackets


@friendly
@dataclass(frozen=True)
class SuccessiveHalving:
    """One tournament: all trials to the first rung, the best 1/eta to the next, and so on to ``max_resource``.

    With ``n_configs`` left out it is Hyperband's most aggressive bracket: eta**s trials, of which one reaches the top.

    Args:
        max_resource: Units the last trial is trained for, >= 1.
        eta: 1/eta of a rung goes up, integer >= 2.
        min_resource: Lower limit of the first rung in units, 1..max_resource.
        n_configs: Trials that enter, >= 1. Rung k holds floor(n_configs / eta**k) of them, at least one.

    Raises:
        ConfigurationError: An argument is out of range.
    """

    max_resource: int
    eta: int = 3
    min_resource: int = 1
    n_configs: int | None = None
    name: ClassVar[str] = "successive_halving"

    def __post_init__(self) -> None:
        require_resources(self.max_resource, self.min_resource, self.eta)
        if self.n_configs is not None:
            require_int("n_configs", self.n_configs, 1)

    def plan(self) -> Plan:
        """Return the ladder, exact, before anything starts."""
        s = power_steps(self.max_resource, self.eta, self.min_resource)
        n = self.eta**s if self.n_configs is None else self.n_configs
        sizes = tuple(max(1, n // self.eta**k) for k in range(s + 1))
        bracket = bracket_plan(sizes, rung_resources(self.max_resource, self.eta, s))
        return Plan("SuccessiveHalving", self.max_resource, self.eta, (bracket,))

    def begin(self, plan: Plan) -> ComposedBrackets:
        """Return a fresh state machine for the plan."""
        return ComposedBrackets(plan)

    def to_json(self) -> Json:
        """Return name and arguments."""
        return {"name": self.name, **asdict(self)}
