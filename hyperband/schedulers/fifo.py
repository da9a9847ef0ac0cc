"""No early stopping at all: every trial is trained to the end, in order. With a random sampler, random search."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from hyperband.messages import Json
from hyperband.planning import Plan, bracket_plan, require_int
from hyperband.schedulers.base import friendly
from hyperband.schedulers.composed import ComposedBrackets


@friendly
@dataclass(frozen=True)
class FIFO:
    """First in, first out: the baseline that every other scheduler has to beat.

    It is a bracket with one rung, so everything that holds for brackets (plan, journal, resume) holds here.

    Args:
        max_resource: Units every trial is trained for, >= 1.
        n_configs: How many trials, >= 1.

    Raises:
        ConfigurationError: An argument is out of range.
    """

    max_resource: int = 1
    n_configs: int = 10
    name: ClassVar[str] = "fifo"

    def __post_init__(self) -> None:
        require_int("max_resource", self.max_resource, 1)
        require_int("n_configs", self.n_configs, 1)

    def plan(self) -> Plan:
        """Return one bracket with one rung."""
        return Plan("FIFO", self.max_resource, None, (bracket_plan((self.n_configs,), (self.max_resource,)),))

    def begin(self, plan: Plan) -> ComposedBrackets:
        """Return a fresh state machine for the plan."""
        return ComposedBrackets(plan)

    def to_json(self) -> Json:
        """Return name and arguments."""
        return {"name": self.name, **asdict(self)}
