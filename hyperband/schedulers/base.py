"""What a scheduler is: a frozen description that can plan, and a state machine that decides.

The description (``Hyperband(max_resource=81, eta=3)``) is what a user writes and what the journal stores.
``begin`` turns it into a ``SchedulerState``, which sees integers and scores only: no configs, no metrics by name, no
checkpoints, no attempts, no clock, no executor. It never acts; it answers.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from hyperband.errors import helpful_arguments
from hyperband.messages import Json, Promote, Segment, Stop
from hyperband.planning import Plan

Verdict: TypeAlias = Promote | Stop

_C = TypeVar("_C", bound=type)


def friendly(cls: _C) -> _C:
    """Decorate a scheduler class: a keyword of another library (``max_t``) is answered with ours."""
    cls.__init__ = helpful_arguments(cls.__init__)  # type: ignore[misc]
    return cls


@dataclass(frozen=True, slots=True)
class Slot:
    """A segment that may be trained now."""

    trial: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a segment ended, as far as a scheduler may know."""

    trial: int
    segment: Segment
    score: float | None  #: lower is better; None = NaN, infinite or failed
    failed: bool = False  #: no value at all: ranks after every value, also after a NaN
    done: bool = False  #: the trial ended by itself and cannot be trained further


@runtime_checkable
class SchedulerState(Protocol):
    """The deciding half of a scheduler.

    Obligations: single-threaded; every method is a pure function of the calls before it (no clock, no global
    randomness); ``ask`` hands out each slot exactly once, and the caller answers each with exactly one ``tell``
    (retries happen outside). Cost per call is O(log n) amortised in trials ever created.
    """

    @property
    def finished(self) -> bool:
        """Whether every slot was handed out and answered."""
        ...

    def ask(self) -> Slot | None:
        """Return the next segment to train, or None: wait for results, or the end."""
        ...

    def tell(self, outcome: Outcome) -> list[Verdict]:
        """Take a result and return the rank decisions it completes, best rank first.

        ``cutoff`` in the answer is a score (lower is better).
        """
        ...

    def snapshot(self) -> Json:
        """Return the whole state as a plain JSON object."""
        ...

    def restore(self, snapshot: Json) -> None:
        """Take over the state of a snapshot made by the same description."""
        ...

    def check_invariants(self) -> None:
        """Raise ``InvariantError`` if a promise does not hold."""
        ...


@runtime_checkable
class Scheduler(Protocol):
    """The describing half: immutable, comparable, JSON-able."""

    @property
    def name(self) -> str:
        """The name under which the registry knows this kind of scheduler."""
        ...

    @property
    def max_resource(self) -> int:
        """Units of resource the longest trial is trained for."""
        ...

    def plan(self) -> Plan:
        """Return rungs and brackets of the whole run; starts nothing."""
        ...

    def begin(self, plan: Plan) -> SchedulerState:
        """Return a fresh state machine for ``plan`` (the own plan, or one limited to a finite space)."""
        ...

    def to_json(self) -> Json:
        """Return the arguments, such that ``scheduler_from_json`` builds an equal scheduler."""
        ...
