"""The definition of a space as an immutable tree, and the one place where a user's definition is read.

Five kinds of node: ``Constant``, ``Listing`` (a list), ``Record`` (a dict), ``Choice`` and every ``Domain``.
Whatever the user may still do to the objects of the definition, the tree does not change.

Paths name a node by the dict keys that lead to it, with dots between them ("optimizer.momentum"); neither the
number of an option nor the name of a branch stands in a path, conditions tell those apart.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from hyperband.errors import SpaceError
from hyperband.space.domains import Domain

Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant:
    """A plain value that is the same in every config."""

    value: Scalar

    def __eq__(self, other: object) -> bool:
        """Tell 1, 1.0 and True apart, as a trainable may."""
        if not isinstance(other, Constant):
            return NotImplemented
        return type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        """Agree with ``==``."""
        return hash((type(self.value).__name__, self.value))

    def __repr__(self) -> str:
        """Return the value as the user wrote it."""
        return repr(self.value)


@dataclass(frozen=True, slots=True, repr=False)
class Listing:
    """A list, each of whose items may be a space of its own."""

    items: "tuple[Node, ...]"

    def __repr__(self) -> str:
        """Return the list as the user wrote it."""
        return f"[{', '.join(map(repr, self.items))}]"


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """A dict, each of whose values may be a space of its own; the order of the keys is the order of the draws."""

    entries: "tuple[tuple[str, Node], ...]"

    def __repr__(self) -> str:
        """Return the dict as the user wrote it."""
        return f"{{{', '.join(f'{name!r}: {node!r}' for name, node in self.entries)}}}"


@dataclass(frozen=True, slots=True, repr=False)
class Choice:
    """One of several options, each equally likely.

    Without ``names`` the value is the option's own. With ``names`` every option is a ``Record``, the value is the
    name, and the entries of the chosen record stand beside it in the same dict.
    """

    options: "tuple[Node, ...]"
    names: tuple[str, ...] | None = None

    @property
    def size(self) -> int:
        """How many options there are."""
        return len(self.options)

    def __repr__(self) -> str:
        """Return the call that makes this choice."""
        if self.names is None:
            return f"choice({Listing(self.options)!r})"
        return f"choice({Record(tuple(zip(self.names, self.options, strict=True)))!r})"


Node: TypeAlias = Constant | Listing | Record | Choice | Domain
Condition: TypeAlias = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One hyperparameter of a space: where it stands, what it may be and when it exists."""

    path: str  #: dict keys that lead to it in the definition, "optimizer.momentum"
    domain: Domain | Choice
    condition: Condition = ()  #: (path of a choice, index of the option it must have), from the root inwards


def choice(options: Iterable[Any] | Mapping[str, Any]) -> Choice:
    """Return a hyperparameter that is one of several options, each equally likely.

    Args:
        options: A list (or tuple) of options: plain JSON values, or dicts and lists that contain hyperparameters
            of their own; the config then holds the option's value, never its index. Or a dict from names to dicts
            of hyperparameters: the config then holds the name, and beside it those of the chosen name alone.

    Raises:
        SpaceError: There is no option, an option is not legal, or it comes twice.
    """
    if isinstance(options, Mapping):
        return _named_choice(options)
    if not isinstance(options, list | tuple):
        message = (
            f"`options` of choice() is {short(options)}, must be a list of options or a dict from names to dicts"
            "; write choice(list(...)) for another kind of collection"
        )
        raise SpaceError(message)
    if not options:
        message = "`options` of choice() is empty, must have at least one option; leave the hyperparameter out instead"
        raise SpaceError(message)
    nodes = tuple(build(option, f"choice option {index}") for index, option in enumerate(options))
    seen: dict[object, int] = {}
    for index, node in enumerate(nodes):
        first = seen.setdefault(_identity(node), index)
        if first != index:
            message = f"choice option {index} is {short(node)}, the same as option {first}; list each option once"
            raise SpaceError(message)
    return Choice(nodes)


def _named_choice(options: Mapping[Any, Any]) -> Choice:
    if not options:
        message = "`options` of choice() is empty, must have at least one name; leave the hyperparameter out instead"
        raise SpaceError(message)
    names, records = [], []
    for key, option in options.items():
        name = _name(key, "choice")
        if not isinstance(option, Mapping):
            message = (
                f"choice option {name!r} is {short(option)}, must be a dict of its hyperparameters"
                f" ({{}} for none); for plain values use a list: choice([...])"
            )
            raise SpaceError(message)
        names.append(name)
        records.append(record(option, f"choice option {name!r}"))
    return Choice(tuple(records), tuple(names))


# --- reading a definition --------------------------------------------------------------------


def join(path: str, name: str) -> str:
    """Return the path of key ``name`` in the dict at ``path``."""
    return f"{path}.{name}" if path else name


def short(value: object) -> str:
    """Return ``value`` as shown in messages: its repr, cut after 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def build(value: Any, path: str) -> Node:
    """Return the node for ``value`` at ``path`` of a definition.

    Raises:
        SpaceError: The value, or one inside it, is not legal there.
    """
    if isinstance(value, Choice) and value.names is not None:
        message = (
            f"{path} is {short(value)}, a choice over a dict; its hyperparameters stand beside it, so it is legal only"
            " as the value of a dict key: wrap it, {'kind': choice({...})}"
        )
        raise SpaceError(message)
    if isinstance(value, Domain | Choice):
        return value
    if isinstance(value, Mapping):
        return record(value, path)
    if isinstance(value, list):
        return Listing(tuple(build(item, f"{path}[{index}]") for index, item in enumerate(value)))
    return Constant(_scalar(value, path))


def record(definition: Mapping[Any, Any], path: str) -> Record:
    """Return the node for a dict at ``path`` ("" for the root).

    Raises:
        SpaceError: A key is not a str, a value is not legal, or a name comes twice in one config.
    """
    entries: list[tuple[str, Node]] = []
    owners: dict[str, str] = {}
    for key, value in definition.items():
        name = _name(key, path or "the space")
        here = join(path, name)
        node = value if _is_named(value) else build(value, here)
        entries.append((name, node))
        # A dict keeps one of each key, because exclusive branches may share it.
        for flat, owner in [(name, here), *dict(_beside(node, here)).items()]:
            if flat in owners:
                message = (
                    f"{owner} comes twice in one config, also as {owners[flat]}: the hyperparameters of a choice over"
                    " a dict stand beside the choice itself; rename one of the two"
                )
                raise SpaceError(message)
            owners[flat] = owner
    return Record(tuple(entries))


def record_names(node: Record, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (key, path) for every key a config can have in this dict; keys of exclusive branches may repeat."""
    for name, child in node.entries:
        here = join(path, name)
        yield name, here
        yield from _beside(child, here)


def _beside(node: Node, path: str) -> Iterator[tuple[str, str]]:
    """Yield (key, path) for every key that ``node`` can put beside its own."""
    if isinstance(node, Choice) and node.names is not None:
        for option in node.options:
            if isinstance(option, Record):
                yield from record_names(option, path)


def _is_named(value: object) -> bool:
    return isinstance(value, Choice) and value.names is not None


def _name(key: object, where: str) -> str:
    if not isinstance(key, str):
        message = f"{where} has the name {key!r}, must be a str; write {str(key)!r}"
        raise SpaceError(message)
    return str.__str__(key)


def _scalar(value: Any, path: str) -> Scalar:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, str):
        return value  # type: ignore[no-any-return]
    if type(value) is float:
        if math.isfinite(value):
            return value
        message = f"{path} is {value}, must be finite; use None or a str and translate it in the trainable"
        raise SpaceError(message)
    kind = type(value).__name__
    if isinstance(value, tuple):
        advice = "use a list, because JSON has no tuples, and make it a tuple in the trainable"
    elif isinstance(value, np.ndarray | set | frozenset):
        advice = "use a list, and convert it in the trainable"
    else:
        advice = "give it a name (a str), and look the name up in the trainable"
    message = (
        f"{path} is {short(value)}, a {kind}; must be a hyperparameter of this package or a plain JSON value"
        f" (None, bool, int, float, str, list, dict): {advice}"
    )
    raise SpaceError(message)


# --- equality of plain values ----------------------------------------------------------------


def value_key(value: object) -> object:
    """Return a hashable that is equal for values a config treats as the same: 1 is 1.0, but True is not 1."""
    if isinstance(value, bool):
        return ("bool", value)
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, list):
        return ("list", *map(value_key, value))
    if isinstance(value, dict):
        return ("dict", frozenset((key, value_key(item)) for key, item in value.items()))
    return ("other", id(value))


def _identity(node: Node) -> object:
    """Like ``value_key`` for a node: options that always give the same value are the same."""
    match node:
        case Constant():
            return value_key(node.value)
        case Listing():
            return ("list", *map(_identity, node.items))
        case Record():
            return ("dict", frozenset((name, _identity(child)) for name, child in node.entries))
        case _:
            return node
