"""Domains: what one hyperparameter may be, and how a number in [0, 1) becomes a value of it.

A new domain is one class here, one line in ``DOMAINS`` and one lower-case constructor.
Everything else (sampling, grids, validation, JSON, printing) asks the domain and never its type.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np

from hyperband.errors import SpaceError

#: A unit is a double with 53 random bits, so it can tell this many values apart and no more.
RESOLUTION: Final = 2**53


def pick(unit: float, count: int) -> int:
    """Return the index that ``unit`` points at among ``count`` equally likely ones.

    Args:
        unit: A number in [0, 1).
        count: How many there are, 1 to ``RESOLUTION``.

    Returns:
        An index in 0..count-1. Integer arithmetic, so that no rounding can reach ``count``.
    """
    return int(unit * RESOLUTION) * count // RESOLUTION


class Domain(ABC):
    """The values of one hyperparameter.

    A subclass is a frozen, slotted dataclass whose fields are its arguments, in order and as plain JSON numbers;
    it checks and converts them in ``__post_init__``, so that no illegal domain can exist, wherever it came from.
    """

    __slots__ = ()

    tag: ClassVar[str]  #: name of the public constructor; tag in JSON

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many values there are; None when they are infinitely many."""

    @abstractmethod
    def from_unit(self, unit: float) -> Any:
        """Return the value at ``unit``: the quantile function of the domain's distribution.

        Args:
            unit: A number in [0, 1). Only a grid passes 1 itself, which stands for the upper end.

        Returns:
            A plain Python value within the bounds, whatever the rounding.
        """

    @abstractmethod
    def problem(self, value: object) -> str | None:
        """Return None if ``value`` is legal, else the legal range as "must be ..."."""

    def grid_size(self, points: int) -> int:
        """Return how many different values a grid of at most ``points`` (>= 1) has here."""
        return points if self.size is None else min(points, self.size)

    def grid_value(self, index: int, count: int) -> Any:
        """Return value ``index`` of ``count``, evenly spaced in unit space with both ends; of one, the middle."""
        return self.from_unit(0.5 if count == 1 else index / (count - 1))

    def arguments(self) -> list[Any]:
        """Return the constructor's arguments, plain JSON."""
        return [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]

    def __repr__(self) -> str:
        """Return the call that makes this domain."""
        return _call(self.tag, *self.arguments())


@dataclass(frozen=True, slots=True, repr=False)
class Uniform(Domain):
    """A float, equally likely anywhere in [low, high)."""

    tag: ClassVar[str] = "uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        """Check the bounds and make them floats."""
        _set_float_bounds(self)
        if not math.isfinite(self.high - self.low):
            message = f"{self!r}: `high` - `low` must be a finite number; choose narrower bounds"
            raise SpaceError(message)

    @property
    def size(self) -> None:
        """Infinitely many values."""
        return

    def from_unit(self, unit: float) -> float:
        """Return low + unit * (high - low)."""
        return _between(self.low, self.low + unit * (self.high - self.low), self.high, unit)

    def problem(self, value: object) -> str | None:
        """Accept a number of the closed range: draws never give ``high``, a grid does."""
        return _float_problem(self.low, value, self.high)


@dataclass(frozen=True, slots=True, repr=False)
class LogUniform(Domain):
    """A float in [low, high) whose logarithm is equally likely anywhere; the bounds are in natural units."""

    tag: ClassVar[str] = "loguniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        """Check the bounds and make them floats."""
        low, high = _float_bound(self, "low"), _float_bound(self, "high")
        if low <= 0:
            # Whoever knows Hyperopt writes the logarithms; show the same range as we want it written.
            logs = low < 0 and high < 100
            hint = f"perhaps you mean loguniform({math.exp(low):.4g}, {math.exp(high):.4g})" if logs else "try 1e-6"
            must = f"must be > 0: bounds are in natural units, not logarithms as in Hyperopt; {hint}"
            raise _bound_error(self, "low", must)
        _set_float_bounds(self)

    @property
    def size(self) -> None:
        """Infinitely many values."""
        return

    def from_unit(self, unit: float) -> float:
        """Return low * (high / low) ** unit."""
        # Base 10 rather than e: a grid over powers of ten then shows 0.001 and not 0.0010000000000000002.
        start = math.log10(self.low)
        exponent = start + unit * (math.log10(self.high) - start)
        # Near the largest float a power raises where a product gives an infinity, which the bound then cuts.
        power = 10.0**exponent if exponent < 308 else 10.0 ** (exponent - 1) * 10.0
        return _between(self.low, power, self.high, unit)

    def problem(self, value: object) -> str | None:
        """Accept a number of the closed range: draws never give ``high``, a grid does."""
        return _float_problem(self.low, value, self.high)


@dataclass(frozen=True, slots=True, repr=False)
class RandInt(Domain):
    """An int, equally likely each of low..high-1."""

    tag: ClassVar[str] = "randint"
    low: int
    high: int

    def __post_init__(self) -> None:
        """Check the bounds and make them ints."""
        low, high = _int_bound(self, "low"), _int_bound(self, "high")
        if low >= high:
            raise _bound_error(self, "low", f"must be less than `high`, which is {high}: the last value is `high` - 1")
        if high - low > RESOLUTION:
            message = f"{self!r} has {high - low} values, must have at most 2**53; use uniform() and round it yourself"
            raise SpaceError(message)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def size(self) -> int:
        """How many integers there are."""
        return self.high - self.low

    def from_unit(self, unit: float) -> int:
        """Return the integer whose share of [0, 1) holds ``unit``."""
        return self.low + min(pick(unit, self.size), self.size - 1)

    def problem(self, value: object) -> str | None:
        """Accept an int from low to high-1; a bool or a float is none."""
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value < self.high:
            return None
        return f"must be an integer from {self.low} to {self.high - 1}"

    def grid_value(self, index: int, count: int) -> int:
        """Return integer ``index`` of ``count``, evenly spaced with both ends; a single one is the middle."""
        steps = count - 1
        if steps == 0:
            return self.low + (self.size - 1) // 2
        # Rounded in integers: the spacing is at least 1, so no value comes twice.
        return self.low + (2 * index * (self.size - 1) + steps) // (2 * steps)


#: Every domain by its tag.
DOMAINS: Final[Mapping[str, type[Domain]]] = MappingProxyType({cls.tag: cls for cls in (Uniform, LogUniform, RandInt)})


# --- public constructors ---------------------------------------------------------------------


def uniform(low: float, high: float) -> Uniform:
    """Return a float hyperparameter, equally likely anywhere in [low, high).

    Args:
        low: Smallest value, finite.
        high: Upper bound, finite, greater than ``low``. Draws stay below it; a grid includes it.

    Raises:
        SpaceError: A bound is not a finite number, or ``low`` >= ``high``.
    """
    return Uniform(low, high)


def loguniform(low: float, high: float) -> LogUniform:
    """Return a float hyperparameter whose order of magnitude is equally likely anywhere in [low, high).

    Args:
        low: Smallest value in natural units (1e-5 and not -5), greater than 0.
        high: Upper bound in natural units, finite, greater than ``low``. Draws stay below it; a grid includes it.

    Raises:
        SpaceError: A bound is not a finite number, ``low`` <= 0, or ``low`` >= ``high``.
    """
    return LogUniform(low, high)


def randint(low: int, high: int | None = None) -> RandInt:
    """Return an int hyperparameter, equally likely each of low..high-1.

    Args:
        low: Smallest value; given alone it is ``high``, and the values are 0..low-1.
        high: Upper bound, itself excluded as in Python's ``range``.

    Raises:
        SpaceError: A bound is not an integer, ``low`` >= ``high``, or there are more than 2**53 values.
    """
    return RandInt(0, low) if high is None else RandInt(low, high)


# --- helpers ---------------------------------------------------------------------------------


def _call(tag: str, *arguments: object) -> str:
    return f"{tag}({', '.join(repr(argument) for argument in arguments)})"


def _bound_error(domain: Domain, name: str, must: str) -> SpaceError:
    return SpaceError(f"`{name}` of {domain!r} is {getattr(domain, name)!r}, {must}")


def _float_bound(domain: Domain, name: str) -> float:
    value = getattr(domain, name)
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise _bound_error(domain, name, "must be a number (and not a bool)")
    try:
        bound = float(value)
    except OverflowError:
        bound = math.inf
    if not math.isfinite(bound):
        raise _bound_error(domain, name, "must be a finite number")
    return bound + 0.0  # -0.0 becomes 0.0, so that equal domains print alike


def _int_bound(domain: Domain, name: str) -> int:
    value = getattr(domain, name)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise _bound_error(domain, name, "must be an integer; for floats use uniform(low, high)")
    return int(value)


def _set_float_bounds(domain: Uniform | LogUniform) -> None:
    low, high = _float_bound(domain, "low"), _float_bound(domain, "high")
    if low >= high:
        raise _bound_error(domain, "low", f"must be less than `high`, which is {high!r}")
    object.__setattr__(domain, "low", low)
    object.__setattr__(domain, "high", high)


def _between(low: float, value: float, high: float, unit: float) -> float:
    """Keep ``value`` in [low, high) against rounding; the ends of the unit range are the exact bounds."""
    if unit <= 0:
        return low
    if unit >= 1:
        return high
    return min(max(low, value), math.nextafter(high, low))


def _float_problem(low: float, value: object, high: float) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return None
    return f"must be a number from {low!r} to {high!r}"
