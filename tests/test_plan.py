"""The plan is exact: the paper's tables, a brute-force oracle for every R, and what illegal input is told."""

import itertools
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.errors import ConfigurationError, UnknownNameError
from hyperband.planning import Plan, power_steps, rung_resources, rung_sizes
from hyperband.schedulers import FIFO, Hyperband, SuccessiveHalving

# Copied from Li et al. 2018, pages 8 and 9, and from the ceil variant of Ray Tune.
R81 = {
    "paper": [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]],
    "ceil": [[81, 27, 9, 3, 1], [34, 12, 4, 2], [15, 5, 2], [8, 3], [5]],
    "table": [[81, 27, 9, 3, 1], [27, 9, 3, 1], [9, 3, 1], [6, 2], [5]],
}
TOTALS_81 = {"paper": (143, 206), "ceil": (143, 211), "table": (128, 187)}
FIRST_RUNGS = {
    ("paper", 9): [9, 5, 3],
    ("paper", 27): [27, 12, 6, 4],
    ("paper", 81): [81, 34, 15, 8, 5],
    ("paper", 243): [243, 98, 41, 18, 9, 6],
    ("paper", 729): [729, 284, 114, 48, 21, 11, 7],
    ("table", 9): [9, 3, 3],
    ("table", 27): [27, 9, 6, 4],
    ("table", 81): [81, 27, 9, 6, 5],
    ("table", 243): [243, 81, 27, 18, 9, 6],
    ("table", 729): [729, 243, 81, 27, 18, 9, 7],
}


def sizes(plan: Plan) -> list[list[int]]:
    """Rung sizes, bracket by bracket."""
    return [[rung.n for rung in bracket.rungs] for bracket in plan.brackets]


def resources(plan: Plan) -> list[list[int]]:
    """Rung resources, bracket by bracket."""
    return [[rung.resource for rung in bracket.rungs] for bracket in plan.brackets]


@pytest.mark.parametrize("sizing", ["paper", "table", "ceil"])
def test_r81_eta3_is_the_papers_table_in_every_sizing(sizing: str) -> None:
    """Algorithm 1, Table 1 and the ceil variant, each to the last number."""
    plan = Hyperband(81, 3, sizing=sizing).plan()
    assert sizes(plan) == R81[sizing]
    assert resources(plan) == [[1, 3, 9, 27, 81], [3, 9, 27, 81], [9, 27, 81], [27, 81], [81]]
    assert (plan.trials, plan.segments) == TOTALS_81[sizing]


@pytest.mark.parametrize(("sizing", "max_resource"), list(FIRST_RUNGS))
def test_first_rungs_are_those_of_the_literature(sizing: str, max_resource: int) -> None:
    """First rung sizes for R = 9 .. 729."""
    assert [rungs[0] for rungs in sizes(Hyperband(max_resource, 3, sizing=sizing).plan())] == FIRST_RUNGS[
        sizing, max_resource
    ]


def test_resuming_saves_what_the_literature_says() -> None:
    """R=81: 1902 units without resume and 1581 with it (Algorithm 1); 1701 and 1404 (Table 1)."""
    paper, table = (Hyperband(81, 3, sizing=sizing).plan() for sizing in ("paper", "table"))
    assert (paper.units_without_resume, paper.units) == (1902, 1581)
    assert (table.units_without_resume, table.units) == (1701, 1404)


@pytest.mark.parametrize(("max_resource", "eta", "brackets"), [(243, 3, 6), (1000, 10, 4), (729, 3, 7), (125, 5, 4)])
def test_exact_powers_lose_no_bracket(max_resource: int, eta: int, brackets: int) -> None:
    """log(243)/log(3) floors to 4 in floating point; integers know better."""
    plan = Hyperband(max_resource, eta).plan()
    assert len(plan.brackets) == brackets
    assert plan.brackets[0].rungs[0].resource == 1


@pytest.mark.parametrize("eta", [2, 3, 4, 10])
def test_every_plan_up_to_ten_thousand_equals_the_brute_force_oracle(eta: int) -> None:
    """The formulas of Algorithm 1 in exact fractions, for every R."""
    for max_resource in range(1, 10_001):
        s_max = max(s for s in range(14) if Fraction(eta) ** s <= max_resource)
        assert power_steps(max_resource, eta) == s_max
        for s in range(s_max + 1):
            budget = Fraction(s_max + 1) * max_resource
            n = ceil(budget / max_resource * Fraction(eta) ** s / (s + 1))
            expected = tuple(floor(n * Fraction(1, eta**i)) for i in range(s + 1))
            if max_resource % 97 == 0 or max_resource <= 100 or s == s_max:  # sizes depend on s_max and s alone
                assert rung_sizes(s, s_max, eta, "paper") == expected
                assert rung_sizes(s, s_max, eta, "ceil") == tuple(ceil(Fraction(n, eta**i)) for i in range(s + 1))
                first = floor(Fraction(s_max + 1, s + 1)) * eta**s
                assert rung_sizes(s, s_max, eta, "table") == tuple(first // eta**i for i in range(s + 1))
            assert rung_resources(max_resource, eta, s) == tuple(
                floor(Fraction(max_resource, eta ** (s - i))) for i in range(s + 1)
            )


@given(
    max_resource=st.integers(1, 10**6),
    eta=st.integers(2, 12),
    min_resource=st.integers(1, 50),
    sizing=st.sampled_from(["paper", "table", "ceil"]),
)
@settings(derandomize=True)
def test_every_plan_is_a_ladder(max_resource: int, eta: int, min_resource: int, sizing: str) -> None:
    """Rungs shrink, resources grow, the last is exactly max_resource, and the first is not below min_resource."""
    bottom = min(min_resource, max_resource)
    plan = Hyperband(max_resource, eta, bottom, sizing).plan()
    assert [bracket.s for bracket in plan.brackets] == list(range(len(plan.brackets) - 1, -1, -1))
    for bracket in plan.brackets:
        ns = [rung.n for rung in bracket.rungs]
        levels = [rung.resource for rung in bracket.rungs]
        assert all(n >= 1 for n in ns)
        assert all(a > b for a, b in itertools.pairwise(ns))
        assert all(a < b for a, b in itertools.pairwise(levels))
        assert bottom <= levels[0]
        assert levels[-1] == max_resource


@given(max_resource=st.integers(1, 1000), eta=st.integers(2, 5), trials=st.integers(1, 300))
@settings(derandomize=True)
def test_a_limited_plan_never_needs_more_configs_than_there_are(max_resource: int, eta: int, trials: int) -> None:
    """A finite space fills brackets in order; each still ends at max_resource."""
    full = Hyperband(max_resource, eta).plan()
    plan = full.limited(trials)
    assert plan.trials == min(trials, full.trials)
    assert all(bracket.rungs[-1].resource == max_resource for bracket in plan.brackets)
    assert plan.limited(full.trials) == plan


def test_a_plan_survives_json_and_names_its_differences() -> None:
    """The journal holds the plan; a resume with another one can say what changed."""
    plan = Hyperband(81, 3).plan()
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.difference(plan) == []
    assert plan.difference(Hyperband(81, 3, sizing="table").plan()) == [
        "bracket 1: 34@3 11@9 3@27 1@81 -> 27@3 9@9 3@27 1@81",
        "bracket 2: 15@9 5@27 1@81 -> 9@9 3@27 1@81",
        "bracket 3: 8@27 2@81 -> 6@27 2@81",
    ]


def test_a_plan_prints_as_a_table() -> None:
    """What a user sees before anything starts."""
    text = str(Hyperband(9, 3).plan())
    assert text.splitlines()[1].split() == ["0", "2", "9", "@", "1", "3", "@", "3", "1", "@", "9", "13", "21"]
    assert "3 brackets, 17 trials, 22 segments, 69 units" in text


def test_successive_halving_keeps_at_least_one_trial_per_rung() -> None:
    """Karnin's floor empties the set for n=3; one trial always goes up."""
    assert sizes(SuccessiveHalving(27, 3, n_configs=4).plan()) == [[4, 1, 1, 1]]
    assert sizes(SuccessiveHalving(27, 3).plan()) == [[27, 9, 3, 1]]
    assert sizes(FIFO(5, 7).plan()) == [[7]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Hyperband(81, eta=1), "`eta` is 1, must be an integer >= 2"),
        (lambda: Hyperband(81, eta=2.5), "`eta` is 2.5, must be an integer >= 2"),
        (lambda: Hyperband(81, eta=True), "`eta` is True"),
        (lambda: Hyperband(0), "`max_resource` is 0, must be an integer >= 1"),
        (lambda: Hyperband(-3), "`max_resource` is -3"),
        (lambda: Hyperband(10.5), "choose a smaller unit instead of a fraction"),
        (lambda: Hyperband(9, 3, min_resource=10), "`min_resource` is 10 and `max_resource` is 9"),
        (lambda: Hyperband(9, 3, min_resource=0), "`min_resource` is 0"),
        (lambda: SuccessiveHalving(9, 3, n_configs=0), "`n_configs` is 0"),
        (lambda: FIFO(1, "many"), "`n_configs` is 'many'"),
    ],
)
def test_a_number_out_of_range_is_named_with_its_range(make: object, words: str) -> None:
    """Value, legal range and next step stand in the message."""
    with pytest.raises(ConfigurationError) as error:
        make()  # type: ignore[operator]
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("option", "ours"),
    [
        ("max_t", "max_resource"),
        ("reduction_factor", "eta"),
        ("grace_period", "min_resource"),
        ("max_resorce", "max_resource"),
    ],
)
def test_words_of_other_libraries_are_answered_with_ours(option: str, ours: str) -> None:
    """Whoever comes from Ray Tune or Optuna is told the word we use."""
    with pytest.raises(UnknownNameError, match=f"`{ours}`"):
        Hyperband(**{option: 81})


def test_num_samples_is_called_n_configs() -> None:
    """Ray Tune's word for the number of trials."""
    with pytest.raises(UnknownNameError, match="`n_configs`"):
        FIFO(num_samples=3)


def test_an_unknown_sizing_suggests_the_near_one() -> None:
    """A typo is answered with the name meant."""
    with pytest.raises(UnknownNameError, match="Did you mean `paper`"):
        Hyperband(81, sizing="papr")
