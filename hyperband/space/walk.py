"""Walks over the tree: which hyperparameters there are, how many configs, and the config at given units.

All walks visit the hyperparameters in one order, that of the definition, active or not. This is what makes the
draw of one hyperparameter independent of the branch that another one took.
"""

import math
from collections.abc import Iterator
from typing import Any, assert_never

from hyperband.space.domains import Domain, pick
from hyperband.space.tree import Choice, Condition, Constant, Listing, Node, Parameter, Record, join


def parameters(node: Node, path: str = "", condition: Condition = ()) -> Iterator[Parameter]:
    """Yield every hyperparameter at or below ``node``, in the order of the definition."""
    match node:
        case Constant():
            pass
        case Listing():
            for index, item in enumerate(node.items):
                yield from parameters(item, f"{path}[{index}]", condition)
        case Record():
            for name, child in node.entries:
                yield from parameters(child, join(path, name), condition)
        case Choice():
            yield Parameter(path, node, condition)
            for index, option in enumerate(node.options):
                yield from parameters(option, path, (*condition, (path, index)))
        case Domain():
            yield Parameter(path, node, condition)
        case _:
            assert_never(node)


def size(node: Node) -> int | None:
    """Return how many values ``node`` can have, None for infinitely many."""
    match node:
        case Constant():
            return 1
        case Domain():
            return node.size
        case Listing():
            sizes = [size(item) for item in node.items]
        case Record():
            sizes = [size(child) for _, child in node.entries]
        case Choice():
            sizes = [size(option) for option in node.options]
            return None if None in sizes else sum(count for count in sizes if count is not None)
        case _:
            assert_never(node)
    return None if None in sizes else math.prod(count for count in sizes if count is not None)


def draw(node: Node, units: Iterator[float]) -> Any:
    """Return the value of ``node`` at ``units``, made of new objects.

    Args:
        node: Where to draw.
        units: One number in [0, 1) for each hyperparameter of the walk, of inactive ones too; they are consumed.
    """
    match node:
        case Constant():
            return node.value
        case Domain():
            return node.from_unit(next(units))
        case Listing():
            return [draw(item, units) for item in node.items]
        case Record():
            return _draw_record(node, units)
        case Choice():
            return _draw_choice(node, units)[1]
        case _:
            assert_never(node)


def _draw_record(node: Record, units: Iterator[float]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name, child in node.entries:
        if isinstance(child, Choice) and child.names is not None:
            index, beside = _draw_choice(child, units)
            config[name] = child.names[index]
            config.update(beside)
        else:
            config[name] = draw(child, units)
    return config


def _draw_choice(node: Choice, units: Iterator[float]) -> tuple[int, Any]:
    index = pick(next(units), node.size)
    # Draw the options not taken too: each hyperparameter keeps its own unit, whatever the others do.
    values = [draw(option, units) for option in node.options]
    return index, values[index]
