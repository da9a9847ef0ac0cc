"""Checks a config against the tree and says in words what is wrong with it."""

from typing import Any, assert_never

from hyperband.errors import suggest
from hyperband.space.domains import Domain
from hyperband.space.tree import Choice, Constant, Listing, Node, Record, join, record_names, short, value_key


def problems(node: Node, value: object, path: str = "") -> list[str]:
    """Return what keeps ``value`` from being a value of ``node``, one clause each; empty if it is one.

    Args:
        node: The part of the space.
        value: The part of the config that stands there.
        path: Its path, "" for the whole config.
    """
    match node:
        case Domain():
            must = node.problem(value)
            return [] if must is None else [f"{path} is {short(value)}, {must}"]
        case Constant():
            same = value_key(value) == value_key(node.value)
            return [] if same else [f"{path} is {short(value)}, must be {node.value!r}, a constant of the space"]
        case Listing():
            return _list_problems(node, value, path)
        case Record():
            return _record_problems(node, value, path)
        case Choice():
            return _choice_problems(node, value, path)
        case _:
            assert_never(node)


def _list_problems(node: Listing, value: object, path: str) -> list[str]:
    if not isinstance(value, list) or len(value) != len(node.items):
        return [f"{path} is {short(value)}, must be a list of {len(node.items)} items"]
    pairs = zip(node.items, value, strict=True)
    return [text for i, pair in enumerate(pairs) for text in problems(*pair, f"{path}[{i}]")]


def _choice_problems(node: Choice, value: object, path: str) -> list[str]:
    candidates = [problems(option, value, path) for option in node.options]
    if [] in candidates:
        return []
    if all(isinstance(option, Constant) for option in node.options):
        return [f"{path} is {short(value)}, must be one of {', '.join(map(repr, node.options))}"]
    # Several shapes are possible; the one with the fewest complaints is most likely the one that was meant.
    nearest = min(candidates, key=len)
    index = candidates.index(nearest)
    clauses = "; ".join(nearest)
    return [f"{path} is {short(value)}, must match one of {node.size} options; nearest is option {index}: {clauses}"]


def _record_problems(node: Record, value: object, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path or 'the config'} is {short(value)}, must be a dict"]
    found: list[str] = []
    expected = _check_entries(node, value, path, found)
    possible = dict(record_names(node, path))
    for key in value:
        if key in expected:
            continue
        if key in possible:
            found.append(f"{possible[key]} is {short(value[key])}, must be absent, as it belongs to another choice")
        elif isinstance(key, str):
            hint = suggest(key, expected) if expected else ""
            found.append(f"{join(path, key)} is {short(value[key])}, but there is no such name.{hint}")
        else:
            found.append(f"{path or 'the config'} has the key {short(key)}, must be a str")
    return found


def _check_entries(node: Record, config: dict[Any, Any], path: str, found: list[str]) -> set[str]:
    """Check the entries of ``node`` in ``config``, append to ``found``, return the keys that may be there."""
    expected = set()
    for name, child in node.entries:
        here = join(path, name)
        expected.add(name)
        if name not in config:
            found.append(f"{here} is missing")
        if isinstance(child, Choice) and child.names is not None:
            expected |= _check_branches(child, name, config, here, found)
        elif name in config:
            found.extend(problems(child, config[name], here))
    return expected


def _check_branches(node: Choice, name: str, config: dict[Any, Any], path: str, found: list[str]) -> set[str]:
    """Check what stands beside a choice over a dict; return the keys that may be there."""
    names, chosen = node.names or (), config.get(name)
    for branch, option in zip(names, node.options, strict=True):
        if chosen == branch and isinstance(option, Record):
            return _check_entries(option, config, path, found)
    if name in config:
        hint = suggest(chosen, names) if isinstance(chosen, str) else ""
        found.append(f"{path} is {short(chosen)}, must be one of {', '.join(map(repr, names))}.{hint}")
    # Without a choice nobody can tell which keys belong: complain about the choice alone.
    return {key for option in node.options if isinstance(option, Record) for key, _ in record_names(option)}
