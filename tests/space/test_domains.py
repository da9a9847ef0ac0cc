"""Domains: bounds, types, distributions and the messages for wrong arguments."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hyperband.errors import SpaceError
from hyperband.space import Domain, Space, choice, loguniform, randint, uniform
from hyperband.space.domains import DOMAINS, RESOLUTION, LogUniform, Uniform, pick

LAW = settings(derandomize=True, deadline=None)
UNITS = st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 5e-324, 0.5, math.nextafter(1, 0)])
FLOATS = st.floats(-1e300, 1e300)
POSITIVE = st.floats(5e-324, 1.7976931348623157e308)
INTS = st.integers(-(10**20), 10**20)


def ks_statistic(values: np.ndarray) -> float:
    """Return the largest gap between the sample's distribution function and that of U[0, 1)."""
    ordered, n = np.sort(values), len(values)
    steps = np.arange(n)
    return float(max(np.max((steps + 1) / n - ordered), np.max(ordered - steps / n)))


def ks_limit(n: int) -> float:
    """Return the gap that a true sample exceeds once in 1000 times."""
    return 1.95 / math.sqrt(n)


# --- within the bounds, in the right type ----------------------------------------------------


@LAW
@given(low=FLOATS, high=FLOATS, unit=UNITS)
def test_a_uniform_draw_is_a_float_in_the_half_open_range(low: float, high: float, unit: float) -> None:
    """No rounding leaves [low, high), for bounds of any size."""
    if not low < high:
        low, high = high, math.nextafter(low, math.inf)
    value = uniform(low, high).from_unit(unit)
    assert type(value) is float
    assert low <= value < high


@LAW
@given(low=POSITIVE, high=POSITIVE, unit=UNITS)
@example(low=1e308, high=1.7976931348623157e308, unit=math.nextafter(1, 0))  # 10 ** log10(high) overflows
def test_a_loguniform_draw_is_a_float_in_the_half_open_range(low: float, high: float, unit: float) -> None:
    """From the smallest to the largest float there is."""
    low, high = min(low, high), max(low, high)
    if low == high:
        low = math.nextafter(high, 0)
    if low == 0:
        low, high = 5e-324, 1e-323
    value = loguniform(low, high).from_unit(unit)
    assert type(value) is float
    assert low <= value < high


@LAW
@given(low=INTS, span=st.integers(1, RESOLUTION), unit=UNITS)
def test_a_randint_draw_is_an_int_below_high(low: int, span: int, unit: float) -> None:
    """Also for numbers that no float holds exactly."""
    value = randint(low, low + span).from_unit(unit)
    assert type(value) is int
    assert low <= value < low + span


@LAW
@given(count=st.integers(1, 1000), unit=UNITS)
def test_pick_gives_every_index_its_exact_share(count: int, unit: float) -> None:
    """Index i holds exactly the units of [i/count, (i+1)/count), rounded down to the resolution."""
    index = pick(unit, count)
    ticks = int(unit * RESOLUTION)
    assert index * RESOLUTION <= ticks * count < (index + 1) * RESOLUTION


@pytest.mark.parametrize("domain", [uniform(-2, 3), loguniform(1e-5, 0.1)])
def test_the_upper_end_belongs_to_grids_alone(domain: Uniform | LogUniform) -> None:
    """Unit 1 is exactly ``high``, unit 0 exactly ``low``."""
    assert domain.from_unit(0.0) == domain.low
    assert domain.from_unit(1.0) == domain.high
    assert domain.from_unit(math.nextafter(1, 0)) < domain.high


def test_bounds_become_plain_python_numbers() -> None:
    """NumPy's numbers and ints are welcome, and leave no trace."""
    domain = uniform(np.float32(0), np.int64(2))
    assert repr(domain) == "uniform(0.0, 2.0)"
    assert type(domain.low) is type(domain.high) is float
    assert type(randint(np.int64(3)).high) is int


# --- distributions ---------------------------------------------------------------------------


@pytest.mark.parametrize("domain", [uniform(-3, 5), loguniform(1e-6, 10)])
def test_a_float_has_its_distribution(domain: Uniform | LogUniform) -> None:
    """Kolmogorov-Smirnov against the distribution function, written down independently."""
    n = 20_000
    units = np.random.default_rng(7).random(n)
    values = np.array([domain.from_unit(unit) for unit in units])
    if isinstance(domain, LogUniform):
        values, low, high = np.log(values), math.log(domain.low), math.log(domain.high)
    else:
        low, high = domain.low, domain.high
    assert ks_statistic((values - low) / (high - low)) < ks_limit(n)


@pytest.mark.parametrize(
    ("space", "cells"),
    [
        (Space({"x": randint(-3, 4)}), list(range(-3, 4))),
        (Space({"x": choice(["a", "b", "c"])}), ["a", "b", "c"]),
        (Space({"x": choice({"a": {}, "b": {"y": uniform(0, 1)}})}), ["a", "b"]),
    ],
)
def test_discrete_values_are_equally_likely(space: Space, cells: list[object]) -> None:
    """Chi-square against equal shares, at a limit that a true sample exceeds once in 1000 times."""
    n, rng = 14_000, np.random.default_rng(11)
    counts = dict.fromkeys(cells, 0)
    for _ in range(n):
        counts[space.sample(rng)["x"]] += 1
    expected = n / len(cells)
    statistic = sum((count - expected) ** 2 / expected for count in counts.values())
    assert statistic < {2: 10.83, 3: 13.82, 7: 22.46}[len(cells)]


# --- grids -----------------------------------------------------------------------------------


def test_a_log_grid_over_powers_of_ten_shows_powers_of_ten() -> None:
    """Nobody wants to read 0.0010000000000000002."""
    domain = loguniform(1e-5, 1e-1)
    assert [domain.grid_value(i, 5) for i in range(5)] == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


@LAW
@given(size=st.integers(1, 60), points=st.integers(1, 70))
def test_an_integer_grid_has_no_value_twice_and_both_ends(size: int, points: int) -> None:
    """With enough points it is all values."""
    domain = randint(10, 10 + size)
    count = domain.grid_size(points)
    values = [domain.grid_value(i, count) for i in range(count)]
    assert values == sorted(set(values))
    assert all(domain.problem(value) is None for value in values)
    if points >= size:
        assert values == list(range(10, 10 + size))
    elif points > 1:
        assert (values[0], values[-1]) == (10, 9 + size)


# --- wrong arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: uniform(1, 1), ["`low` of uniform(1, 1) is 1", "less than `high`"]),
        (lambda: uniform(2, 1), ["`low`", "is 2", "`high`", "1.0"]),
        (lambda: uniform(True, 2), ["`low`", "True", "must be a number"]),
        (lambda: uniform("lr", 2), ["`low`", "'lr'", "must be a number"]),
        (lambda: uniform(0, math.inf), ["`high`", "inf", "finite"]),
        (lambda: uniform(math.nan, 1), ["`low`", "nan", "finite"]),
        (lambda: uniform(0, 10**400), ["`high`", "finite"]),
        (lambda: uniform(-1.7e308, 1.7e308), ["`high` - `low`", "narrower"]),
        (lambda: loguniform(-5, 0), ["> 0", "natural units", "Hyperopt", "loguniform(0.006738, 1)"]),
        (lambda: loguniform(0, 1), ["is 0, must be > 0", "natural units", "1e-6"]),
        (lambda: loguniform(1e-1, 1e-5), ["`low`", "0.1", "less than `high`"]),
        (lambda: loguniform(1, False), ["`high`", "False", "must be a number"]),
        (lambda: randint(0.0, 3), ["`low`", "0.0", "must be an integer", "uniform"]),
        (lambda: randint(0, True), ["`high`", "True", "must be an integer"]),
        (lambda: randint(0), ["randint(0, 0)", "less than `high`", "last value"]),
        (lambda: randint(5, 2), ["`low`", "is 5", "2"]),
        (lambda: randint(0, RESOLUTION + 1), ["2**53"]),
    ],
)
def test_a_wrong_bound_is_named_with_value_and_range(make: object, words: list[str]) -> None:
    """The message shows the whole call, because a domain does not know its path yet."""
    with pytest.raises(SpaceError) as caught:
        make()  # type: ignore[operator]
    for word in words:
        assert word in str(caught.value)


def test_a_domain_is_registered_under_the_name_of_its_constructor() -> None:
    """JSON and repr use the tag; it has to be what the user writes."""
    constructors = {"uniform": uniform, "loguniform": loguniform, "randint": randint}
    assert set(DOMAINS) == set(constructors)
    for tag, make in constructors.items():
        domain = make(1, 2)
        assert isinstance(domain, Domain)
        assert type(domain) is DOMAINS[tag]
        assert DOMAINS[tag](*domain.arguments()) == domain
