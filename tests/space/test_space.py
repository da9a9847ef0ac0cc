"""Examples: what a definition means, and what a user reads when it is wrong."""

import dataclasses
import enum
import math
from typing import Any

import numpy as np
import pytest

from hyperband.errors import ConfigurationError, SpaceError
from hyperband.space import Parameter, Space, choice, loguniform, randint, uniform

OPTIMIZER = choice({"adam": {}, "sgd": {"momentum": uniform(0, 0.99), "nesterov": choice([True, False])}})
SPACE = Space({"lr": loguniform(1e-5, 1e-1), "optimizer": OPTIMIZER, "layers": randint(1, 4), "data": "digits"})


def rejected(make: Any) -> str:
    """Return the message of the SpaceError that ``make`` raises."""
    with pytest.raises(SpaceError) as caught:
        make()
    return str(caught.value)


# --- meaning ---------------------------------------------------------------------------------


def test_hyperparameters_of_a_named_choice_stand_beside_it() -> None:
    """The chosen branch is flat in the same dict, the others are absent."""
    sgd = SPACE.from_units([0.5, 0.5, 0.5, 0.9, 0.0])
    assert sgd == {"lr": 0.001, "optimizer": "sgd", "momentum": 0.495, "nesterov": False, "layers": 1, "data": "digits"}
    adam = SPACE.from_units([0.5, 0.0, 0.5, 0.9, 0.0])
    assert adam == {"lr": 0.001, "optimizer": "adam", "layers": 1, "data": "digits"}


def test_a_choice_over_a_list_gives_the_value_and_never_the_index() -> None:
    """The most common confusion about Hyperopt."""
    space = Space({"batch": choice([32, None, {"size": randint(5, 6), "kind": "big"}, [uniform(0, 1), 7]])})
    drawn = [space.from_units([unit, 0.0, 0.25])["batch"] for unit in (0.0, 0.25, 0.5, 0.75)]
    assert drawn == [32, None, {"size": 5, "kind": "big"}, [0.25, 7]]


def test_parameters_tell_path_domain_and_condition_in_order() -> None:
    """Conditions name every choice above, from the root inwards."""
    inner = choice({"a": {"x": uniform(0, 1)}, "b": {"x": randint(3)}})
    space = Space({"net": {"depth": randint(1, 9)}, "kind": choice({"plain": {}, "deep": {"inner": inner}})})
    outer = space.parameters[1].domain
    assert space.parameters == (
        Parameter("net.depth", randint(1, 9)),
        Parameter("kind", outer),
        Parameter("kind.inner", inner, (("kind", 1),)),
        Parameter("kind.inner.x", uniform(0, 1), (("kind", 1), ("kind.inner", 0))),
        Parameter("kind.inner.x", randint(3), (("kind", 1), ("kind.inner", 1))),
    )


def test_size_multiplies_what_is_independent_and_adds_what_is_exclusive() -> None:
    """3 layers times (1 adam + 2 sgd) is 9; a float anywhere makes it infinite."""
    finite = choice({"adam": {}, "sgd": {"nesterov": choice([True, False])}})
    assert Space({"layers": randint(1, 4), "optimizer": finite}).size() == 9
    assert SPACE.size() is None


def test_numpy_scalars_become_python_values() -> None:
    """An option read from an array behaves like one that was typed."""
    space = Space({"x": choice([np.int64(3), np.float32(0.5), np.bool_(True), np.str_("a")])})
    drawn = [space.from_units([unit])["x"] for unit in (0.0, 0.25, 0.5, 0.75)]
    assert drawn == [3, 0.5, True, "a"]
    assert [type(value) for value in drawn] == [int, float, bool, str]


def test_options_that_differ_in_type_alone_are_told_apart() -> None:
    """True and 1 are two options, 1 in place of 1.0 is another space."""
    assert Space({"x": choice([True, 1, None])}).size() == 3
    assert Space({"x": choice([1, "a"])}) != Space({"x": choice([1.0, "a"])})


def test_a_grid_counts_its_points_by_path() -> None:
    """Paths left out have 5 points; the last hyperparameter changes fastest; inactive ones add nothing."""
    grid = SPACE.grid({"lr": 2, "optimizer.momentum": 3})
    assert grid.size == 2 * (1 + 3 * 2) * 3
    assert [grid[i] for i in (0, 1, 3)] == [
        {"lr": 1e-5, "optimizer": "adam", "layers": 1, "data": "digits"},
        {"lr": 1e-5, "optimizer": "adam", "layers": 2, "data": "digits"},
        {"lr": 1e-5, "optimizer": "sgd", "momentum": 0.0, "nesterov": True, "layers": 1, "data": "digits"},
    ]
    assert grid[grid.size - 1]["momentum"] == 0.99
    assert Space({"x": uniform(0, 2)}).grid(1)[0] == {"x": 1.0}
    assert Space({"x": uniform(0, 2), "y": uniform(0, 1)}).grid({"x": 2}).size == 10


def test_a_grid_of_any_size_is_indexed_at_once() -> None:
    """Nothing is written out: 10**40 configs, and the last one is there."""
    grid = Space({f"x{i}": uniform(0, 1) for i in range(40)}).grid(10)
    assert grid.size == 10**40
    assert grid[10**40 - 1] == {f"x{i}": 1.0 for i in range(40)}


def test_a_space_cannot_be_changed() -> None:
    """It is a value: journals and schedulers rely on it."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPACE.root = SPACE.root  # type: ignore[misc]
    assert hash(Space(SPACE)) == hash(SPACE)


# --- differences -----------------------------------------------------------------------------


def test_a_difference_reads_like_a_list_of_edits() -> None:
    """One line for each entry, with its condition where it has one."""
    optimizer = choice({"adam": {"beta": uniform(0, 1)}, "sgd": {"momentum": uniform(0, 0.9)}, "lion": {}})
    other = Space({"lr": loguniform(1e-5, 1), "optimizer": optimizer, "data": "mnist", "dropout": uniform(0, 1)})
    assert SPACE.difference(other) == [
        "lr: loguniform(1e-05, 0.1) -> loguniform(1e-05, 1.0)",
        "optimizer: choice of 'adam', 'sgd' -> choice of 'adam', 'sgd', 'lion'",
        "optimizer.momentum (when optimizer is 'sgd'): uniform(0.0, 0.99) -> uniform(0.0, 0.9)",
        "optimizer.nesterov (when optimizer is 'sgd'): removed",
        "layers: removed",
        "data: 'digits' -> 'mnist'",
        "optimizer.beta (when optimizer is 'adam'): added uniform(0.0, 1.0)",
        "dropout: added uniform(0.0, 1.0)",
    ]


def test_another_order_of_the_names_is_a_difference() -> None:
    """It changes which number goes to which hyperparameter, so the same seed gives other configs."""
    one, two = Space({"a": uniform(0, 1), "b": uniform(0, 1)}), Space({"b": uniform(0, 1), "a": uniform(0, 1)})
    assert one != two
    assert "order" in one.difference(two)[0]


# --- wrong definitions -----------------------------------------------------------------------


class Colour(enum.Enum):
    """Something people put into choices."""

    RED = 1


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({}, ["nothing to search", "at least one", "loguniform"]),
        ({"lr": 0.1}, ["nothing to search", "'lr': 0.1"]),
        ([uniform(0, 1)], ["must be a dict"]),
        (OPTIMIZER, ["must be a dict", "give the choice a name"]),
        ({3: uniform(0, 1)}, ["name 3", "must be a str"]),
        ({"net": {3: uniform(0, 1)}}, ["net", "name 3", "must be a str"]),
        ({"net": {"shape": (1, 2)}, "x": uniform(0, 1)}, ["net.shape", "(1, 2)", "tuple", "use a list"]),
        ({"net": {"act": math.sin}, "x": uniform(0, 1)}, ["net.act", "give it a name", "look the name up"]),
        ({"net": [1, {"a": {2}}], "x": uniform(0, 1)}, ["net[1].a", "{2}", "set", "use a list"]),
        ({"a": math.inf, "x": uniform(0, 1)}, ["a is inf", "finite"]),
        ({"a": np.zeros(2), "x": uniform(0, 1)}, ["a is array", "use a list"]),
        ({"x": [OPTIMIZER]}, ["x[0]", "only as the value of a dict key"]),
    ],
)
def test_a_wrong_definition_is_named_by_path_and_value(definition: Any, words: list[str]) -> None:
    """Every message says where, what, what is legal and what to do."""
    message = rejected(lambda: Space(definition))
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["empty", "at least one option"]),
        ({}, ["empty", "at least one name"]),
        ("adam", ["'adam'", "must be a list"]),
        (range(3), ["range(0, 3)", "choice(list(...))"]),
        ([1, math.sin], ["option 1", "give it a name", "look the name up"]),
        ([int], ["option 0", "<class 'int'>", "give it a name"]),
        ([Colour.RED], ["option 0", "Colour.RED", "give it a name"]),
        ([[1, 2], (1, 2)], ["option 1", "(1, 2)", "use a list"]),
        ([{"net": {"act": math.sin}}], ["option 0.net.act", "give it a name"]),
        ([math.nan], ["option 0 is nan", "finite"]),
        ([OPTIMIZER], ["option 0", "only as the value of a dict key"]),
        (["a", "b", "a"], ["option 2", "'a'", "same as option 0"]),
        ([1, 1.0], ["option 1", "same as option 0"]),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], ["option 1", "same as option 0"]),
        ({"adam": None}, ["'adam'", "None", "must be a dict", "{} for none"]),
        ({1: {}}, ["name 1", "must be a str"]),
    ],
)
def test_a_wrong_choice_is_named_by_option_and_value(options: Any, words: list[str]) -> None:
    """The choice is checked where it is written, before it has a path."""
    message = rejected(lambda: choice(options))
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "definition",
    [
        {"optimizer": OPTIMIZER, "momentum": uniform(0, 1)},
        {"momentum": 0.5, "optimizer": OPTIMIZER},
        {"optimizer": choice({"sgd": {"optimizer": randint(3), "momentum": 1}})},
        {"optimizer": OPTIMIZER, "other": choice({"a": {"momentum": uniform(0, 1)}})},
        {"optimizer": OPTIMIZER, "other": choice({"a": {"deep": choice({"b": {"momentum": uniform(0, 1)}})}})},
    ],
)
def test_a_name_that_would_come_twice_in_one_config_is_refused(definition: dict[str, Any]) -> None:
    """Otherwise one value would silently overwrite the other."""
    message = rejected(lambda: Space(definition))
    assert "comes twice" in message
    assert "optimizer" in message


def test_exclusive_branches_may_share_a_name() -> None:
    """They never meet in one config."""
    space = Space({"kind": choice({"a": {"x": uniform(0, 1)}, "b": {"x": randint(5)}, "c": {}})})
    assert space.from_units([0.0, 0.5, 0.5]) == {"kind": "a", "x": 0.5}
    assert space.from_units([0.5, 0.5, 0.5]) == {"kind": "b", "x": 2}


# --- wrong use -------------------------------------------------------------------------------

GOOD = {"lr": 1e-3, "optimizer": "sgd", "momentum": 0.3, "nesterov": True, "layers": 2, "data": "digits"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": 1.0}, ["lr is 1.0", "1e-05", "0.1"]),
        ({"lr": "fast"}, ["lr is 'fast'", "number"]),
        ({"lr": math.nan}, ["lr is nan"]),
        ({"layers": 4}, ["layers is 4", "from 1 to 3"]),
        ({"layers": 2.0}, ["layers is 2.0", "integer"]),
        ({"layers": True}, ["layers is True", "integer"]),
        ({"momentum": 1.0}, ["optimizer.momentum is 1.0", "0.0 to 0.99"]),
        ({"nesterov": 1}, ["optimizer.nesterov is 1", "True, False"]),
        ({"optimizer": "adma"}, ["optimizer is 'adma'", "'adam', 'sgd'", "Did you mean `adam`?"]),
        ({"optimizer": "adam"}, ["optimizer.momentum is 0.3", "must be absent"]),
        ({"data": "mnist"}, ["data is 'mnist'", "'digits'", "constant"]),
        ({"learning_rate": 1}, ["learning_rate is 1", "no such name"]),
        ({"nesterv": 1}, ["nesterv", "Did you mean `nesterov`?"]),
        ({5: 1}, ["key 5", "must be a str"]),
    ],
)
def test_validate_names_path_value_and_range(change: dict[Any, Any], words: list[str]) -> None:
    """A config that came from elsewhere is checked like one of ours."""
    SPACE.validate(GOOD)
    message = rejected(lambda: SPACE.validate(GOOD | change))
    for word in words:
        assert word in message


def test_validate_lists_every_problem_at_once() -> None:
    """Nobody likes to fix one, run, and meet the next."""
    message = rejected(lambda: SPACE.validate({"lr": 7, "optimizer": "sgd", "momentum": -1, "data": "digits"}))
    for word in ("lr is 7", "optimizer.momentum is -1", "optimizer.nesterov is missing", "layers is missing"):
        assert word in message
    assert "must be a dict" in rejected(lambda: SPACE.validate(None))


def test_validate_explains_the_nearest_option_of_a_nested_choice() -> None:
    """The option with the fewest complaints is most likely the one that was meant."""
    space = Space({"net": choice([{"width": randint(4, 9), "depth": randint(1, 3)}, "linear"])})
    space.validate({"net": {"width": 8, "depth": 1}})
    message = rejected(lambda: space.validate({"net": {"width": 99, "depth": 1}}))
    assert "nearest is option 0: net.width is 99, must be an integer from 4 to 8" in message


def test_validate_accepts_ints_for_floats_and_the_upper_end() -> None:
    """A point typed by hand says 1 and means 1.0; a grid includes the end."""
    space = Space({"x": uniform(0, 1)})
    space.validate({"x": 1})
    assert "x is True" in rejected(lambda: space.validate({"x": True}))


@pytest.mark.parametrize(
    ("units", "words"),
    [([0.5], ["1 numbers", "must have 5"]), ([0.5, 0.5, 1.0, 0, 0], ["optimizer.momentum", "1.0", "[0, 1)"])],
)
def test_units_are_checked(units: list[float], words: list[str]) -> None:
    """A wrong count would shift every value after it."""
    message = rejected(lambda: SPACE.from_units(units))
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (0, ["`points` is 0", ">= 1"]),
        (2.5, ["`points` is 2.5", "integer"]),
        (True, ["`points` is True"]),
        ({"lr": 0}, ["`points['lr']` is 0"]),
        ({"momentum": 3}, ["'momentum'", "Did you mean `optimizer.momentum`?"]),
        ({"optimizer": 2}, ["'optimizer'", "all its options"]),
    ],
)
def test_points_of_a_grid_are_checked(points: Any, words: list[str]) -> None:
    """A misspelt path must not silently give the default."""
    with pytest.raises(ConfigurationError) as caught:
        SPACE.grid(points)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"uniform": [0, 1]},
        {"dict": []},
        {"dict": [["x", {"unifrom": [0, 1]}]]},
        {"dict": [["x", {"uniform": [0]}]]},
        {"dict": [["x", {"uniform": 3}]]},
        {"dict": [["x", {"uniform": [1, 0]}]]},
        {"dict": [["x"]]},
        {"dict": [["x", {"randint": [0, 3]}], ["x", 1]]},
        {"dict": [["x", {"choice": []}]]},
        {"dict": [["x", {"branches": [["a", 1]]}]]},
        {"dict": [["x", {"a": 1, "b": 2}]]},
        {"dict": [["x", [1]]]},
        {"dict": [[["x"], 1]]},
        5,
        None,
    ],
)
def test_json_that_is_no_space_is_refused(body: Any) -> None:
    """Reading makes the same checks as writing the definition by hand."""
    rejected(lambda: Space.from_json(body))
