"""The tree as plain JSON and back, exactly.

A constant stands as itself, everything else as an object with one key, its tag. Dicts are lists of pairs, because
the order of the keys is the order of the draws and a JSON writer may sort them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, assert_never

from hyperband.errors import SpaceError, suggest
from hyperband.space.domains import DOMAINS, Domain
from hyperband.space.tree import Choice, Constant, Listing, Node, Record, choice, short


def node_to_json(node: Node) -> Any:
    """Return ``node`` as plain JSON."""
    match node:
        case Constant():
            return node.value
        case Listing():
            return {"list": [node_to_json(item) for item in node.items]}
        case Record():
            return {"dict": [[name, node_to_json(child)] for name, child in node.entries]}
        case Choice():
            options = [node_to_json(option) for option in node.options]
            if node.names is None:
                return {"choice": options}
            return {"branches": [list(pair) for pair in zip(node.names, options, strict=True)]}
        case Domain():
            return {node.tag: node.arguments()}
        case _:
            assert_never(node)


def definition_from_json(value: Any) -> Any:
    """Return what the user would write for ``value``, so that reading it makes the same checks as the first time.

    Args:
        value: Output of ``node_to_json``.

    Raises:
        SpaceError: It is no such output, or has a domain that this version does not know.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        message = f"{short(value)} is not a space in JSON, must be an object with one key; write it with to_json()"
        raise SpaceError(message)
    [(tag, body)] = value.items()
    if tag not in DOMAINS and tag not in _READERS:
        message = f"{tag!r} is no tag of a space in JSON.{suggest(str(tag), [*DOMAINS, *_READERS])}"
        raise SpaceError(message)
    if not isinstance(body, list):
        message = f"{short(value)} is not a space in JSON, must have a list after {tag!r}; write it with to_json()"
        raise SpaceError(message)
    try:
        return DOMAINS[tag](*body) if tag in DOMAINS else _READERS[tag](body)
    except (TypeError, ValueError) as error:
        if isinstance(error, SpaceError):
            raise
        message = f"{short(value)} is not a space in JSON ({error}); write it with to_json()"
        raise SpaceError(message) from error


def _list(body: list[Any]) -> list[Any]:
    return [definition_from_json(item) for item in body]


def _dict(body: list[Any]) -> dict[Any, Any]:
    entries = {name: definition_from_json(child) for name, child in body}
    if len(entries) < len(body):
        message = f"{short(body)} has a name twice"
        raise SpaceError(message)
    return entries


_READERS: Final[Mapping[str, Callable[[list[Any]], Any]]] = MappingProxyType(
    {
        "list": _list,
        "dict": _dict,
        "choice": lambda body: choice(_list(body)),
        "branches": lambda body: choice(_dict(body)),
    }
)
