"""The exact plan of a tournament: rungs and brackets as integers, computed before the first trial.

Only integer arithmetic is used. The textbook formulas contain ``log(R) / log(eta)`` and ``eta ** -s``, and floating
point gets both wrong (``log(243) / log(3)`` floors to 4, ``729 * 3 ** -6`` floors to 0), so that tools which evaluate
them in floats silently lose a bracket.

Letters of the paper (Li et al., *Hyperband*, JMLR 18(185), 2018), once, beside our words: R = ``max_resource``,
r = ``min_resource`` (1 in the paper), eta = ``eta``, s = aggressiveness of a bracket, s_max = number of brackets - 1,
n_i = ``Rung.n``, r_i = ``Rung.resource``.
"""

import operator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from hyperband.errors import ConfigurationError, UnknownNameError, suggest

Sizing: TypeAlias = Literal["paper", "table", "ceil"]

#: paper = Algorithm 1 of the paper; table = its Table 1; ceil = Algorithm 1 with rungs rounded up.
SIZINGS: Final = ("paper", "table", "ceil")


@dataclass(frozen=True, slots=True)
class Rung:
    """A resource level at which trials are compared."""

    n: int  #: trials that are trained to this rung
    resource: int  #: units each of them has been trained for in all


@dataclass(frozen=True, slots=True)
class BracketPlan:
    """One successive-halving tournament."""

    s: int  #: aggressiveness: how many times the trials are cut by eta
    rungs: tuple[Rung, ...]

    @property
    def n(self) -> int:
        """Trials that enter."""
        return self.rungs[0].n

    @property
    def segments(self) -> int:
        """Segments that are trained if no trial fails."""
        return sum(rung.n for rung in self.rungs)

    @property
    def units(self) -> int:
        """Resource units trained, each promoted trial continuing from its checkpoint."""
        below = 0
        total = 0
        for rung in self.rungs:
            total += rung.n * (rung.resource - below)
            below = rung.resource
        return total

    @property
    def units_without_resume(self) -> int:
        """Resource units a scheduler would train that begins anew at each rung."""
        return sum(rung.n * rung.resource for rung in self.rungs)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run will do, known before it does anything."""

    scheduler: str
    max_resource: int
    eta: int | None  #: None where nothing is cut
    brackets: tuple[BracketPlan, ...]
    unit: str = "unit"  #: what one unit of resource is called

    @property
    def trials(self) -> int:
        """Trials in all brackets."""
        return sum(bracket.n for bracket in self.brackets)

    @property
    def segments(self) -> int:
        """Segments in all brackets, if no trial fails."""
        return sum(bracket.segments for bracket in self.brackets)

    @property
    def units(self) -> int:
        """Resource units trained in all brackets."""
        return sum(bracket.units for bracket in self.brackets)

    @property
    def units_without_resume(self) -> int:
        """Resource units without checkpoints: what a Hyperband that retrains from scratch would need."""
        return sum(bracket.units_without_resume for bracket in self.brackets)

    @property
    def peak_checkpoints(self) -> int:
        """Most checkpoints that can exist at once: every trial of every bracket paused, and the best one."""
        return self.trials + 1

    def first_trials(self) -> tuple[int, ...]:
        """Return the id of the first trial of each bracket; a bracket's trials have consecutive ids."""
        firsts = []
        first = 0
        for bracket in self.brackets:
            firsts.append(first)
            first += bracket.n
        return tuple(firsts)

    def limited(self, trials: int) -> "Plan":
        """Return the plan for a space that has only so many configs to offer.

        Brackets are filled in order. One that gets fewer trials than planned keeps its resources and cuts by eta as
        before (at least one trial goes up); brackets that get none are dropped.

        Args:
            trials: How many trials there can be in all, >= 1.
        """
        brackets = []
        left = trials
        for bracket in self.brackets:
            n = min(bracket.n, left)
            if n == 0:
                break
            left -= n
            brackets.append(bracket if n == bracket.n else self._shrunk(bracket, n))
        return Plan(self.scheduler, self.max_resource, self.eta, tuple(brackets), self.unit)

    def _shrunk(self, bracket: BracketPlan, n: int) -> BracketPlan:
        eta = self.eta or 1
        rungs = tuple(Rung(max(1, n // eta**k), rung.resource) for k, rung in enumerate(bracket.rungs))
        return BracketPlan(bracket.s, rungs)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a plain JSON object."""
        return {
            "scheduler": self.scheduler,
            "max_resource": self.max_resource,
            "eta": self.eta,
            "unit": self.unit,
            "brackets": [
                {"s": bracket.s, "rungs": [[rung.n, rung.resource] for rung in bracket.rungs]}
                for bracket in self.brackets
            ],
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Plan":
        """Inverse of ``to_json``."""
        brackets = tuple(
            BracketPlan(item["s"], tuple(Rung(n, resource) for n, resource in item["rungs"]))
            for item in body["brackets"]
        )
        return cls(body["scheduler"], body["max_resource"], body["eta"], brackets, body["unit"])

    def difference(self, other: "Plan") -> list[str]:
        """Return readable lines that say how ``other`` differs from this plan; empty if it does not."""
        lines = [
            f"{field}: {getattr(self, field)!r} -> {getattr(other, field)!r}"
            for field in ("scheduler", "max_resource", "eta", "unit")
            if getattr(self, field) != getattr(other, field)
        ]
        ours, theirs = (tuple(_row(bracket) for bracket in plan.brackets) for plan in (self, other))
        for index in range(max(len(ours), len(theirs))):
            before = ours[index] if index < len(ours) else "no such bracket"
            after = theirs[index] if index < len(theirs) else "no such bracket"
            if before != after:
                lines.append(f"bracket {index}: {before} -> {after}")
        return lines

    def __str__(self) -> str:
        """Return the plan as a table: a line per bracket, a cell ``trials @ resource`` per rung."""
        depth = max((len(bracket.rungs) for bracket in self.brackets), default=0)
        head = ["bracket", "s", *(f"rung {k}" for k in range(depth)), "segments", f"{self.unit}s"]
        rows = [head]
        for index, bracket in enumerate(self.brackets):
            cells = [f"{rung.n} @ {rung.resource}" for rung in bracket.rungs]
            cells += [""] * (depth - len(cells))
            rows.append([str(index), str(bracket.s), *cells, str(bracket.segments), str(bracket.units)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*lines, self.summary()])

    def summary(self) -> str:
        """Return one sentence with the totals."""
        eta = "" if self.eta is None else f", eta={self.eta}"
        saved = self.units_without_resume - self.units
        more = f" ({saved} fewer than when every rung began anew)" if saved else ""
        return (
            f"{self.scheduler}(max_resource={self.max_resource}{eta}): {len(self.brackets)} "
            f"bracket{'s' if len(self.brackets) != 1 else ''}, {self.trials} trials, "
            f"{self.segments} segments, {self.units} {self.unit}s{more}"
        )


def _row(bracket: BracketPlan) -> str:
    return " ".join(f"{rung.n}@{rung.resource}" for rung in bracket.rungs)


# --- the rules -------------------------------------------------------------------------------


def power_steps(max_resource: int, eta: int, min_resource: int = 1) -> int:
    """Return the largest s with ``min_resource * eta**s <= max_resource`` (Algorithm 1, line 1: s_max)."""
    steps = 0
    level = min_resource * eta
    while level <= max_resource:
        steps += 1
        level *= eta
    return steps


def rung_resources(max_resource: int, eta: int, s: int) -> tuple[int, ...]:
    """Return the s + 1 resources of a bracket, the last one exactly ``max_resource``.

    Top-aligned as in the paper: R / eta**(s-k), rounded down where that is no integer. The levels are strictly
    increasing as long as the first is at least 1.
    """
    return tuple(max_resource // eta ** (s - k) for k in range(s + 1))


def rung_sizes(s: int, s_max: int, eta: int, sizing: Sizing) -> tuple[int, ...]:
    """Return the s + 1 rung sizes of Hyperband's bracket s.

    * ``paper``: n = ceil((s_max+1) eta^s / (s+1)) (Algorithm 1, line 2 with B = (s_max+1) R), n_i = floor(n / eta^i)
      (line 5). 81 34 15 8 5 first rungs for R=81, eta=3.
    * ``table``: n = floor((s_max+1) / (s+1)) eta^s, which is what the paper's Table 1 prints. 81 27 9 6 5.
    * ``ceil``: n as in ``paper``, n_i = ceil(n / eta^i). 34 12 4 2 instead of 34 11 3 1.
    """
    power = eta**s
    n = (s_max + 1) // (s + 1) * power if sizing == "table" else -(-(s_max + 1) * power // (s + 1))
    if sizing == "ceil":
        return tuple(-(-n // eta**k) for k in range(s + 1))
    return tuple(n // eta**k for k in range(s + 1))


def bracket_plan(sizes: tuple[int, ...], resources: tuple[int, ...]) -> BracketPlan:
    """Join sizes and resources, rung by rung."""
    rungs = tuple(Rung(n, resource) for n, resource in zip(sizes, resources, strict=True))
    return BracketPlan(len(rungs) - 1, rungs)


# --- checking what a caller wrote ------------------------------------------------------------


def require_int(name: str, value: object, minimum: int, why: str = "") -> int:
    """Return ``value`` as an int, or say what it must be.

    Raises:
        ConfigurationError: It is not an integer, or below ``minimum``.
    """
    more = f"; {why}" if why else ""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        msg = f"`{name}` is {value!r}, must be an integer >= {minimum}{more}"
        raise ConfigurationError(msg)
    number = operator.index(value)
    if number < minimum:
        msg = f"`{name}` is {number}, must be an integer >= {minimum}{more}"
        raise ConfigurationError(msg)
    return number


def require_resources(max_resource: object, min_resource: object, eta: object) -> None:
    """Check the three numbers every halving scheduler has.

    Raises:
        ConfigurationError: One of them is no integer, too small, or they contradict each other.
    """
    whole = "resources are counted in whole units (epochs, steps, rounds): choose a smaller unit instead of a fraction"
    top = require_int("max_resource", max_resource, 1, whole)
    bottom = require_int("min_resource", min_resource, 1, whole)
    require_int("eta", eta, 2, "1/eta of the trials go up at each rung, so nothing would ever be cut")
    if bottom > top:
        msg = (
            f"`min_resource` is {bottom} and `max_resource` is {top}: the first rung cannot lie above the last; "
            f"choose min_resource in 1..{top}"
        )
        raise ConfigurationError(msg)


def require_sizing(sizing: str) -> None:
    """Check the name of a sizing mode.

    Raises:
        UnknownNameError: There is no such mode.
    """
    if sizing not in SIZINGS:
        msg = f"`sizing` is {sizing!r}, which is no sizing mode.{suggest(str(sizing), SIZINGS)}"
        raise UnknownNameError(msg)
