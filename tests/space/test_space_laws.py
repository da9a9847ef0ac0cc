"""Laws that hold for every space, checked on random nested ones."""

import copy
import itertools
import json
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.errors import SpaceError
from hyperband.space import Choice, Domain, Space, choice, loguniform, randint, uniform

LAW = settings(derandomize=True, deadline=None, max_examples=60)

# --- random definitions ----------------------------------------------------------------------
# Options of one choice are disjoint by construction (see ``Space.size``); exclusive branches share names on purpose.

CONSTANTS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
FLOAT_DOMAINS = st.builds(lambda a, b: uniform(a, a + b), st.floats(-10, 10), st.floats(0.1, 10)) | st.builds(
    lambda a, b: loguniform(a, a * b), st.floats(1e-6, 10), st.floats(1.5, 1e6)
)
INT_DOMAINS = st.builds(lambda a, n: randint(a, a + n), st.integers(-5, 5), st.integers(1, 4))
DOMAINS = FLOAT_DOMAINS | INT_DOMAINS


@st.composite
def choices(draw: st.DrawFn, depth: int) -> Choice:
    """A choice over a list: words, perhaps one domain, perhaps dicts told apart by their keys."""
    options: list[Any] = [f"word{i}" for i in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        options.append(draw(DOMAINS))
    if depth > 0:
        options += [{f"only{i}": draw(values(depth - 1))} for i in range(draw(st.integers(0, 2)))]
    return choice(draw(st.permutations(options)))


def values(depth: int) -> st.SearchStrategy[Any]:
    """Anything that may stand anywhere in a definition."""
    leaves = CONSTANTS | DOMAINS
    if depth == 0:
        return leaves
    return leaves | choices(depth) | st.lists(values(depth - 1), max_size=2) | records(depth - 1, "n_")


@st.composite
def records(draw: st.DrawFn, depth: int, prefix: str) -> dict[str, Any]:
    """A dict; some of its values may be choices over dicts, whose names begin with the choice's own."""
    record: dict[str, Any] = {}
    for letter in draw(st.permutations("abc"))[: draw(st.integers(0, 3))]:
        name = prefix + letter
        if depth > 0 and draw(st.booleans()):
            branches = draw(st.integers(1, 3))
            record[name] = choice({f"branch{i}": draw(records(depth - 1, name)) for i in range(branches)})
        else:
            record[name] = draw(values(depth))
    return record


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """A legal definition with at least one hyperparameter, anywhere in the order."""
    items = [*draw(records(2, "")).items(), ("top", draw(DOMAINS))]
    return dict(draw(st.permutations(items)))


SPACES = definitions().map(Space)
SEEDS = st.integers(0, 2**32)


def canonical(config: object) -> str:
    """A config as text: equal texts are equal configs, types included."""
    return json.dumps(config, sort_keys=True, allow_nan=False)


# --- drawing ---------------------------------------------------------------------------------


@LAW
@given(space=SPACES, seed=SEEDS)
def test_every_draw_is_plain_json_and_valid(space: Space, seed: int) -> None:
    """What comes out can be stored and passes the space's own check, before and after storing."""
    config = space.sample(np.random.default_rng(seed))
    stored = json.loads(canonical(config))
    assert stored == config
    space.validate(config)
    space.validate(stored)


@LAW
@given(space=SPACES, seed=SEEDS)
def test_a_draw_takes_one_number_for_each_hyperparameter_active_or_not(space: Space, seed: int) -> None:
    """So the draw of one never depends on the branch that another took."""
    rng, twin = np.random.default_rng(seed), np.random.default_rng(seed)
    units = twin.random(len(space.parameters))
    assert canonical(space.sample(rng)) == canonical(space.from_units(units))
    assert rng.bit_generator.state == twin.bit_generator.state


@LAW
@given(space=SPACES, seed=SEEDS, data=st.data())
def test_moving_one_number_moves_one_hyperparameter(space: Space, seed: int, data: st.DataObject) -> None:
    """A number of a leaf changes at most one leaf of the config, and none at all if it is inactive."""
    leaves = [i for i, parameter in enumerate(space.parameters) if isinstance(parameter.domain, Domain)]
    moved = data.draw(st.sampled_from(leaves))
    units = np.random.default_rng(seed).random(len(space.parameters)).tolist()
    before = dict(flatten(space.from_units(units)))
    units[moved] = (units[moved] + 0.5) % 1
    after = dict(flatten(space.from_units(units)))
    assert before.keys() == after.keys()
    changed = [key for key in before if before[key] != after[key]]
    assert len(changed) <= (1 if is_active(space, moved, units) else 0)


@LAW
@given(space=SPACES, seed=SEEDS)
def test_a_caller_cannot_corrupt_the_space_through_a_config(space: Space, seed: int) -> None:
    """Every container in a config is made for this config."""
    text, description = canonical(space.sample(np.random.default_rng(seed))), repr(space)
    destroy(space.sample(np.random.default_rng(seed)))
    destroy(space.grid(2)[0])
    assert canonical(space.sample(np.random.default_rng(seed))) == text
    assert repr(space) == description


@LAW
@given(definition=definitions(), seed=SEEDS)
def test_a_caller_cannot_corrupt_the_space_through_the_definition(definition: dict[str, Any], seed: int) -> None:
    """The space keeps nothing of the dicts and lists it was made from."""
    space = Space(definition)
    text = canonical(space.sample(np.random.default_rng(seed)))
    destroy(definition)
    assert canonical(space.sample(np.random.default_rng(seed))) == text


@LAW
@given(space=SPACES, seed=SEEDS, data=st.data())
def test_a_config_with_one_key_less_or_more_is_refused(space: Space, seed: int, data: st.DataObject) -> None:
    """Missing and unexpected keys are named."""
    config = space.sample(np.random.default_rng(seed))
    name = data.draw(st.sampled_from(sorted(config)))
    less = {key: value for key, value in config.items() if key != name}
    with pytest.raises(SpaceError, match="missing"):
        space.validate(less)
    with pytest.raises(SpaceError, match="surplus"):
        space.validate(config | {"surplus": 1})


# --- storing and comparing -------------------------------------------------------------------


@LAW
@given(space=SPACES)
def test_json_round_trip_is_exact(space: Space) -> None:
    """Also when the writer sorts the keys of objects, as the journal may."""
    body = json.loads(json.dumps(space.to_json(), sort_keys=True, allow_nan=False))
    again = Space.from_json(body)
    assert again == space
    assert hash(again) == hash(space)
    assert again.parameters == space.parameters
    assert repr(again) == repr(space)
    assert again.to_json() == space.to_json()


@LAW
@given(space=SPACES)
def test_repr_is_the_call_that_makes_the_space(space: Space) -> None:
    """What is shown can be pasted."""
    names = {"Space": Space, "choice": choice, "uniform": uniform, "loguniform": loguniform, "randint": randint}
    assert eval(repr(space), names) == space


@LAW
@given(space=SPACES)
def test_a_space_survives_copy_pickle_and_itself(space: Space) -> None:
    """A space is a value."""
    assert copy.deepcopy(space) == space
    assert pickle.loads(pickle.dumps(space)) == space
    assert Space(space) == space


@LAW
@given(old=SPACES, new=SPACES)
def test_there_is_a_difference_exactly_if_two_spaces_are_not_equal(old: Space, new: Space) -> None:
    """A refused resume always has something to show."""
    assert old.difference(old) == []
    assert (old.difference(new) == []) == (old == new)


@LAW
@given(space=SPACES, data=st.data())
def test_one_changed_bound_is_a_difference(space: Space, data: st.DataObject) -> None:
    """However deep it stands."""
    body = space.to_json()
    bounds = list(bounds_in(body))
    data.draw(st.sampled_from(bounds))[1] += 1
    changed = Space.from_json(body)
    assert changed != space
    assert len(space.difference(changed)) == 1
    assert len(changed.difference(space)) == 1


# --- counting --------------------------------------------------------------------------------


@LAW
@given(space=SPACES, points=st.integers(1, 3))
def test_a_grid_is_the_product_written_out(space: Space, points: int) -> None:
    """Index by index the same configs, in the same order, as nested loops over the definition."""
    grid = space.grid(points)
    if grid.size > 500:
        picks = {0, 1, grid.size // 2, grid.size - 1}
        expected = list(itertools.islice(enumerate_all(space.root, points), 300))
        assert [grid[i] for i in range(300)] == expected
        for index in picks:
            space.validate(grid[index])
        return
    configs = list(grid)
    assert [canonical(config) for config in configs] == [canonical(c) for c in enumerate_all(space.root, points)]
    assert configs == [grid[i] for i in range(grid.size)]
    assert len({canonical(config) for config in configs}) == grid.size == len(grid)
    for config in configs:
        space.validate(config)
    with pytest.raises(IndexError):
        grid[grid.size]


@LAW
@given(space=SPACES)
def test_size_is_the_number_of_configs(space: Space) -> None:
    """A finite space has as many configs as its finest grid; with a float it has infinitely many."""
    size = space.size()
    floats = [p for p in space.parameters if isinstance(p.domain, Domain) and p.domain.size is None]
    assert (size is None) == bool(floats)
    if size is not None:
        assert size == space.grid(1000).size


# --- oracles ---------------------------------------------------------------------------------


def enumerate_all(node: Any, points: int) -> Iterator[Any]:
    """Yield every value of a grid over ``node`` by nested loops, without any index arithmetic."""
    kind = type(node).__name__
    if kind == "Constant":
        yield node.value
    elif isinstance(node, Domain):
        count = node.grid_size(points)
        yield from (node.grid_value(i, count) for i in range(count))
    elif kind == "Listing":
        yield from map(list, itertools.product(*(list(enumerate_all(item, points)) for item in node.items)))
    elif kind == "Choice":
        for option in node.options:
            yield from enumerate_all(option, points)
    else:
        parts = []
        for name, child in node.entries:
            if isinstance(child, Choice) and child.names is not None:
                branches = zip(child.names, child.options, strict=True)
                parts.append([{name: n} | c for n, option in branches for c in enumerate_all(option, points)])
            else:
                parts.append([{name: value} for value in enumerate_all(child, points)])
        for combination in itertools.product(*parts):
            yield {key: value for part in combination for key, value in part.items()}


def flatten(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield (path, leaf) of a config."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
    else:
        for key, item in items:
            yield from flatten(item, (*path, key))


def bounds_in(body: Any) -> Iterator[list[Any]]:
    """Yield the list of bounds of every domain in a space's JSON."""
    for item in body.values() if isinstance(body, dict) else body:
        if isinstance(body, dict) and body.keys() & {"uniform", "loguniform", "randint"}:
            yield item
        elif isinstance(item, dict | list):
            yield from bounds_in(item)


def is_active(space: Space, index: int, units: list[float]) -> bool:
    """Whether every choice above the parameter takes the option it needs, from ``condition`` and ``units`` alone."""
    condition = space.parameters[index].condition
    for depth, (path, option) in enumerate(condition):
        above = [
            (unit, parameter.domain.size)
            for unit, parameter in zip(units, space.parameters, strict=True)
            if (parameter.path, parameter.condition) == (path, condition[:depth])
            and isinstance(parameter.domain, Choice)
        ]
        assert len(above) == 1, "a condition names exactly one choice"
        [(unit, count)] = above
        if int(unit * count) != option:
            return False
    return True


def destroy(value: Any) -> None:
    """Empty every container in ``value``."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            destroy(item)
        value.clear()
