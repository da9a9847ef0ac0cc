"""Finding the part of a state that cannot be pickled, for the error message that names it.

Pickle says "cannot pickle '_thread.lock' object" and not where it is. This walks down from the object that failed:
at each level, the first child that fails by itself is where to look next; an object none of whose children fails is
the culprit.
"""

import functools
import types
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

_DEEPEST: Final = 100
_LONGEST_KEY: Final = 60


def find_culprit(
    name: str, obj: object, failure: Callable[[object], Exception | None]
) -> tuple[str, object, Exception | None]:
    """Return path, object and error of the innermost part that cannot be saved.

    Args:
        name: The path of ``obj`` itself.
        obj: An object that failed.
        failure: Tries to pickle a part; returns its error, or None if it can be saved.

    Returns:
        ``(path, culprit, error)``; the error is None if no part fails by itself.
    """
    path, reason = name, failure(obj)
    seen = {id(obj)}
    for _ in range(_DEEPEST):
        for step, child in _children(obj):
            if id(child) in seen:
                continue
            seen.add(id(child))
            found = failure(child)
            if found is not None:
                path, obj, reason = path + step, child, found
                break
        else:
            break
    return path, obj, reason


def type_name(obj: object) -> str:
    """Return the full name of the type of ``obj``, as an import would spell it."""
    kind = type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of ``obj`` that pickling would visit, each with the step that leads to it."""
    if isinstance(obj, dict):
        yield from ((f".<key {_short(key)}>", key) for key in obj)
        yield from ((f"[{_short(key)}]", value) for key, value in obj.items())
    elif isinstance(obj, list | tuple | deque):
        yield from ((f"[{index}]", value) for index, value in enumerate(obj))
    elif isinstance(obj, set | frozenset):
        yield from ((".<element>", value) for value in obj)
    elif isinstance(obj, types.FunctionType):
        yield from _parts_of_function(obj)
        return
    elif isinstance(obj, types.MethodType):
        yield from ((".__self__", obj.__self__), (".__func__", obj.__func__))
        return
    elif isinstance(obj, functools.partial):
        yield from ((".func", obj.func), (".args", obj.args), (".keywords", obj.keywords))
        return
    elif isinstance(obj, type):
        yield from ((f".{key}", value) for key, value in vars(obj).items())
        return
    yield from _parts_of_object(obj)


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What travels with a function that is saved by value."""
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f".<closure>.{variable}", cell.cell_contents
        except ValueError:  # an empty cell: the variable is not assigned yet
            continue
    yield from ((f".__defaults__[{index}]", value) for index, value in enumerate(function.__defaults__ or ()))
    yield from ((f".__kwdefaults__[{_short(key)}]", value) for key, value in (function.__kwdefaults__ or {}).items())
    for variable in function.__code__.co_names:
        if variable in function.__globals__:
            yield f".<globals>.{variable}", function.__globals__[variable]


def _parts_of_object(obj: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object, or what its own ``__getstate__`` or ``__reduce__`` makes of them."""
    try:
        state = obj.__getstate__()
    except Exception:  # noqa: BLE001 - the user's code; then the attributes themselves are the best guess
        state = getattr(obj, "__dict__", None)
    parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    if all(part is None or isinstance(part, dict) for part in parts):
        yield from ((f".{key}", value) for key, value in chain.from_iterable((part or {}).items() for part in parts))
    else:
        yield ".__getstate__()", state
    try:
        reduced = obj.__reduce_ex__(5)
    except Exception:  # noqa: BLE001 - it is this object itself that cannot be saved
        return
    if isinstance(reduced, tuple):
        yield from ((f".<constructor argument {index}>", value) for index, value in enumerate(reduced[1]))


def _short(key: object) -> str:
    """A key as it would be written, in one short line."""
    text = f'"{key}"' if isinstance(key, str) and key.isidentifier() else repr(key)
    return text if len(text) <= _LONGEST_KEY else text[: _LONGEST_KEY - 3] + "..."
