"""Samplers: the law of the index, exhaustion, names and JSON."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.errors import ConfigurationError, SpaceError, UnknownNameError
from hyperband.messages import Config
from hyperband.samplers import (
    GridSampler,
    History,
    Observation,
    RandomSampler,
    Sampler,
    config_rng,
    resolve_sampler,
    sampler_from_json,
    sampler_to_json,
    trial_seed,
)
from hyperband.space import Space, choice, loguniform, randint, uniform

LAW = settings(derandomize=True, deadline=None, max_examples=50)

OPTIMIZER = choice({"adam": {}, "sgd": {"momentum": uniform(0, 0.99)}})
SPACES = {
    "flat": Space({"lr": loguniform(1e-5, 1e-1), "layers": randint(1, 9)}),
    "nested": Space({"lr": loguniform(1e-5, 1e-1), "optimizer": OPTIMIZER, "net": {"act": choice(["relu", "tanh"])}}),
    "tiny": Space({"x": randint(2), "y": choice([True, False])}),
}
SAMPLERS: list[Sampler] = [RandomSampler(), GridSampler(), GridSampler(points=3), GridSampler(points=1)]
BOTH = pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
EACH_SPACE = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def propose(sampler: Sampler, space: Space, seed: int, index: int) -> Config | None:
    """Ask as the search does."""
    return sampler.propose(space, index, config_rng(seed, index), ())


# --- laws of every sampler -------------------------------------------------------------------


@BOTH
@EACH_SPACE
@LAW
@given(seed=st.integers(0, 2**70), indices=st.lists(st.integers(0, 40), max_size=12))
def test_a_config_depends_on_seed_and_index_alone(
    sampler: Sampler, space: Space, seed: int, indices: list[int]
) -> None:
    """Any order and any subset of calls, also repeated ones, give the configs of the full list."""
    full = [propose(sampler, space, seed, index) for index in range(41)]
    for index in indices:
        assert propose(sampler, space, seed, index) == full[index]


@BOTH
@EACH_SPACE
def test_a_proposal_is_legal_and_new(sampler: Sampler, space: Space) -> None:
    """The space accepts it, and nobody else holds it."""
    first = propose(sampler, space, 0, 0)
    assert first is not None
    space.validate(first)
    again = propose(sampler, space, 0, 0)
    assert first == again
    assert first is not again


@BOTH
@EACH_SPACE
def test_size_bounds_the_number_of_different_configs(sampler: Sampler, space: Space) -> None:
    """Otherwise the search would wait for configs that never come."""
    size = sampler.size(space)
    seen = {json.dumps(propose(sampler, space, 5, index), sort_keys=True) for index in range(200)} - {"null"}
    assert size is None or len(seen) <= size


@BOTH
def test_a_sampler_that_is_not_adaptive_ignores_history(sampler: Sampler) -> None:
    """So synchronous schedulers give the same result with any number of workers."""
    space = SPACES["nested"]
    history = [Observation(0, space.sample(config_rng(9, 9)), 3, 0.5), Observation(1, {}, 3, None)]
    assert not sampler.adaptive
    assert sampler.propose(space, 4, config_rng(1, 4), history) == propose(sampler, space, 1, 4)


# --- random ----------------------------------------------------------------------------------


def test_random_configs_of_neighbouring_indices_and_seeds_are_independent() -> None:
    """Streams keyed by counters: uniform along the index and along the seed, and not correlated."""
    n, space, sampler = 4000, Space({"x": uniform(0, 1)}), RandomSampler()
    for keys in ([(3, i) for i in range(n)], [(i, 3) for i in range(n)]):
        values = np.array([sampler.propose(space, i, config_rng(s, i), ())["x"] for s, i in keys])
        ordered = np.sort(values)
        gap = max(np.max(np.arange(1, n + 1) / n - ordered), np.max(ordered - np.arange(n) / n))
        assert gap < 1.95 / math.sqrt(n)
        assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 3.3 / math.sqrt(n)
        assert len(set(values)) == n


def test_random_never_ends_so_it_limits_no_plan() -> None:
    """Draws are independent: a small space repeats itself instead of running out."""
    sampler = RandomSampler()
    assert sampler.size(SPACES["tiny"]) is None
    assert sampler.size(SPACES["flat"]) is None
    assert propose(sampler, SPACES["tiny"], 0, 10**12) is not None


# --- grid ------------------------------------------------------------------------------------


@EACH_SPACE
@pytest.mark.parametrize("points", [1, 2, 5])
def test_a_grid_gives_each_config_once_and_then_none(space: Space, points: int) -> None:
    """As many as its size says, whatever the seed."""
    sampler = GridSampler(points)
    size = sampler.size(space)
    configs = [propose(sampler, space, seed, seed) for seed in range(size)]
    assert len({json.dumps(config, sort_keys=True) for config in configs}) == size
    assert None not in configs
    assert propose(sampler, space, 0, size) is None
    assert propose(sampler, space, 0, size + 10**20) is None


def test_the_first_configs_of_a_grid_are_spread_over_it() -> None:
    """A plan that is smaller than the grid sees every option of a choice and the whole range of a number."""
    space = Space({"a": choice(["p", "q", "r", "s"]), "x": uniform(0, 1)})
    sampler = GridSampler(25)
    first = [propose(sampler, space, 0, index) for index in range(12)]
    assert {config["a"] for config in first if config} == {"p", "q", "r", "s"}
    values = sorted(config["x"] for config in first if config)
    assert values[0] < 0.2
    assert values[-1] > 0.8


def test_a_grid_takes_points_by_path() -> None:
    """7 learning rates times (adam, 5 momenta of sgd) times 2 activations."""
    sampler = GridSampler({"lr": 7})
    assert sampler.size(SPACES["nested"]) == 7 * (1 + 5) * 2
    with pytest.raises(SpaceError, match="momentum"):
        GridSampler({"momentum": 7}).size(SPACES["nested"])


@pytest.mark.parametrize("points", [0, -1, 1.5, True, "5", None, {"lr": 0}, {"lr": "many"}])
def test_a_wrong_number_of_points_is_refused_at_once(points: Any) -> None:
    """Before there is a space to check it against."""
    with pytest.raises(ConfigurationError, match="must be an integer >= 1"):
        GridSampler(points)


def test_a_grid_keeps_its_own_copy_of_the_points() -> None:
    """A sampler is a value."""
    points = {"lr": 2}
    sampler = GridSampler(points)
    points["lr"] = 9
    assert sampler == GridSampler({"lr": 2})


# --- names and JSON --------------------------------------------------------------------------


class Constant:
    """A sampler from outside, without a base class."""

    name = "constant"
    adaptive = False

    def size(self, space: Space) -> int | None:
        """One."""
        return 1

    def propose(self, space: Space, index: int, rng: np.random.Generator, history: History) -> Config | None:
        """Return the first config of a grid."""
        return space.grid(1)[0] if index == 0 else None


def test_a_name_or_an_object_is_a_sampler() -> None:
    """Third parties need no base class."""
    own = Constant()
    assert resolve_sampler("random") == RandomSampler()
    assert resolve_sampler("grid") == GridSampler(points=5)
    assert resolve_sampler(own) is own


@pytest.mark.parametrize(
    ("name", "hint"),
    [("randm", "Did you mean `random`?"), ("tpe", "Known names: `grid`, `random`."), ("Grid", "Did you mean `grid`?")],
)
def test_an_unknown_name_is_answered_with_a_near_one(name: str, hint: str) -> None:
    """The message shows what was written and what there is."""
    with pytest.raises(UnknownNameError) as caught:
        resolve_sampler(name)
    assert repr(name) in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize(("wrong", "word"), [(GridSampler, "GridSampler()"), (None, "'grid'"), (7, "`propose`")])
def test_what_is_no_sampler_is_refused(wrong: Any, word: str) -> None:
    """Also the class in place of an object."""
    with pytest.raises(ConfigurationError) as caught:
        resolve_sampler(wrong)
    assert word in str(caught.value)


@pytest.mark.parametrize("sampler", [*SAMPLERS, GridSampler({"lr": 7, "optimizer.momentum": 2})], ids=repr)
def test_json_round_trip_of_a_sampler_is_exact(sampler: Sampler) -> None:
    """The journal's header holds name and arguments."""
    body = json.loads(json.dumps(sampler_to_json(sampler)))
    assert body["name"] == sampler.name
    assert sampler_from_json(body) == sampler


def test_a_foreign_sampler_is_recorded_by_name_and_has_to_be_given_again() -> None:
    """We cannot make what we do not know, and say so."""
    body = sampler_to_json(Constant())
    assert body == {"name": "constant", "arguments": {}}
    with pytest.raises(UnknownNameError, match="Pass your own"):
        sampler_from_json(body)
    with pytest.raises(ConfigurationError, match="arguments"):
        sampler_from_json({"name": "grid", "arguments": {"pionts": 3}})


# --- streams ---------------------------------------------------------------------------------


GOLDEN_UNITS = [0.9453165290142962, 0.41175942424912015]
GOLDEN_SEEDS = [8897364151550420695, 5118172827221114505, 1111701161213440519]


def test_streams_never_change() -> None:
    """Golden numbers: a later version must continue an experiment of this one with the same configs."""
    assert config_rng(0, 0).random(2).tolist() == GOLDEN_UNITS
    assert [trial_seed(0, 0), trial_seed(0, 1), trial_seed(2**70, 3)] == GOLDEN_SEEDS


def test_streams_of_different_purpose_seed_or_index_share_nothing() -> None:
    """First numbers of 1200 streams, all different; trial seeds fill 63 bits and no more."""
    keys = [(seed, index) for seed in range(20) for index in range(30)]
    configs = {int(config_rng(*key).integers(2**63)) for key in keys}
    seeds = {trial_seed(*key) for key in keys}
    assert len(configs | seeds) == 2 * len(keys)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62


@pytest.mark.parametrize("make", [config_rng, trial_seed])
@pytest.mark.parametrize(
    ("seed", "index", "word"),
    [(-1, 0, "`seed` is -1"), (1.5, 0, "`seed`"), (True, 0, "`seed`"), (0, -1, "`index` is -1")],
)
def test_seeds_and_indices_are_checked(make: Any, seed: Any, index: Any, word: str) -> None:
    """A wrong seed is the caller's error and says so."""
    with pytest.raises(ConfigurationError, match="must be an integer >= 0") as caught:
        make(seed, index)
    assert word in str(caught.value)
