"""The state of live objects: read out, and put back *in place*.

What a user hands to ``ctx.steps(model=model, history=history)`` stays the user's object: after a resume the very same
``model`` and ``history`` hold the saved state, so the code around needs no assignment. That works for objects that can
be changed; a number or a tuple cannot, and is refused with the way that works.

``capture`` may return memory of the live object (a ``state_dict`` does). Encode it before training goes on:
``codec.encode`` copies.
"""

import random
import sys
import types
from collections import deque
from typing import Any, Final

import numpy as np

from hyperband.errors import StateError

_IMMUTABLE: Final = (int, float, complex, str, bytes, tuple, frozenset, range, type(None), np.generic)
_CODE: Final = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)
_SEQUENCES: Final = (list, deque, bytearray)


def capture(obj: Any, name: str = "state") -> Any:
    """Return the state of ``obj`` for ``codec.encode``, and later for ``restore``.

    Knows, in this order: ``state_dict``/``load_state_dict``; generators of numpy, ``random`` and torch; tensors;
    arrays; dict, list, set, deque, bytearray; ``__getstate__``/``__setstate__``; attributes.

    Args:
        obj: A changeable object.
        name: What error messages call it.

    Raises:
        StateError: Nothing in ``obj`` can be changed in place, or its own method failed.
    """
    try:
        return _capture(obj, name)
    except (StateError, MemoryError):
        raise
    except Exception as error:
        message = f"the state of `{name}` (a `{_kind(obj)}`) cannot be read: {type(error).__name__}: {error}"
        raise StateError(message) from error


def restore(obj: Any, state: Any, name: str = "state") -> None:
    """Put a captured state back into ``obj`` itself.

    Args:
        obj: An object of the kind that was captured.
        state: What ``capture`` returned, after ``codec.encode`` and ``codec.decode``. It becomes part of ``obj``.
        name: What error messages call it.

    Raises:
        StateError: The state does not fit ``obj``.
    """
    try:
        _restore(obj, state, name)
    except (StateError, MemoryError):
        raise
    except Exception as error:
        message = (
            f"`{name}` (a `{_kind(obj)}`) cannot take back its saved state: {type(error).__name__}: {error}; "
            "it must be built by the same code and from the same config as when it was saved"
        )
        raise StateError(message) from error


def _capture(obj: Any, name: str) -> Any:
    torch = _torch()
    if _has_state_dict(obj):
        state = obj.state_dict()
    elif isinstance(obj, np.random.Generator):
        state = obj.bit_generator.state
    elif isinstance(obj, np.random.RandomState):
        state = obj.get_state(legacy=False)
    elif isinstance(obj, random.Random):
        state = obj.getstate()
    elif torch is not None and isinstance(obj, torch.Generator):
        state = obj.get_state()
    elif torch is not None and isinstance(obj, torch.Tensor):
        state = obj.detach()
    else:
        _check_changeable(obj, name)
        state = _capture_container(obj, name)
    return state


def _capture_container(obj: Any, name: str) -> Any:
    state: Any
    if isinstance(obj, np.ndarray):
        state = obj
    elif isinstance(obj, dict):
        _check_no_owners(obj.items(), name)
        state = dict(obj)
    elif isinstance(obj, set):
        state = set(obj)
    elif isinstance(obj, bytearray):
        state = bytearray(obj)
    elif isinstance(obj, list | deque):
        _check_no_owners(enumerate(obj), name)
        state = list(obj)
    elif _defines(obj, "__getstate__"):
        state = obj.__getstate__()
    else:
        state = (dict(vars(obj)) if hasattr(obj, "__dict__") else None, _slots(obj))
    return state


def _restore(obj: Any, state: Any, name: str) -> None:
    if _has_state_dict(obj):
        obj.load_state_dict(state)
        return
    torch = _torch()
    if isinstance(obj, np.random.Generator):
        obj.bit_generator.state = state
    elif isinstance(obj, np.random.RandomState):
        obj.set_state(state)
    elif isinstance(obj, random.Random):
        obj.setstate(state)
    elif torch is not None and isinstance(obj, torch.Generator):
        obj.set_state(state)
    elif torch is not None and isinstance(obj, torch.Tensor):
        _check_same(obj, state, name)
        with torch.no_grad():
            obj.copy_(state)
    else:
        _check_changeable(obj, name)
        _restore_container(obj, state, name)


def _restore_container(obj: Any, state: Any, name: str) -> None:
    if isinstance(obj, np.ndarray):
        _check_same(obj, state, name)
        np.copyto(obj, state, casting="no")
    elif isinstance(obj, dict | set):
        _check_type(isinstance(state, dict if isinstance(obj, dict) else set), obj, state, name)
        obj.clear()
        obj.update(state)
    elif isinstance(obj, _SEQUENCES):
        _check_type(isinstance(state, bytearray if isinstance(obj, bytearray) else list), obj, state, name)
        obj.clear()
        obj.extend(state)
    elif hasattr(obj, "__setstate__"):
        obj.__setstate__(state)
    elif _defines(obj, "__getstate__") and isinstance(state, dict):
        _set_attributes(obj, state, {})
    else:
        _check_type(isinstance(state, tuple) and len(state) == 2, obj, state, name)
        _set_attributes(obj, *state)


def _set_attributes(obj: Any, attributes: dict[str, Any] | None, slots: dict[str, Any]) -> None:
    """Swap the attributes; ``object.__setattr__`` because a frozen dataclass refuses its own."""
    if attributes is not None:
        vars(obj).clear()
        vars(obj).update(attributes)
    for key in _slots(obj).keys() - slots.keys():
        object.__delattr__(obj, key)
    for key, value in slots.items():
        object.__setattr__(obj, key, value)


def _slots(obj: Any) -> dict[str, Any]:
    """The values in the slots of ``obj``, if its classes have any."""
    found = {}
    for kind in type(obj).__mro__:
        declared = kind.__dict__.get("__slots__", ())
        for slot in (declared,) if isinstance(declared, str) else declared:
            if slot in ("__dict__", "__weakref__"):
                continue
            key = f"_{kind.__name__.lstrip('_')}{slot}" if slot.startswith("__") and not slot.endswith("__") else slot
            if hasattr(obj, key):
                found[key] = getattr(obj, key)
    return found


# --- checks ----------------------------------------------------------------------------------


def _check_changeable(obj: Any, name: str) -> None:
    """Refuse what cannot be restored in place."""
    if isinstance(obj, _IMMUTABLE):
        reason = "it cannot be changed in place"
    elif isinstance(obj, _CODE):
        reason = "it is code, not state"
    elif (
        isinstance(obj, np.ndarray | dict | set | list | deque | bytearray)
        or _defines(obj, "__getstate__")
        or hasattr(obj, "__dict__")
        or _slots(obj)
    ):
        return
    else:
        reason = "it has neither `state_dict`/`load_state_dict` nor `__getstate__`/`__setstate__` nor attributes"
    message = (
        f'`{name}` is a `{_kind(obj)}`: {reason}. Keep it in ctx.state instead: ctx.state["{name}"] = ... , '
        "and read it from there after a resume"
    )
    raise StateError(message)


def _check_no_owners(items: Any, name: str) -> None:
    """Refuse a container of models: a resume would put copies into it beside the user's own."""
    for key, value in items:
        if _has_state_dict(value):
            message = (
                f"`{name}[{key!r}]` is a `{_kind(value)}` with a state of its own; hand it over under its own name, "
                f"ctx.steps({name}_{key}=...), so that it is restored in place"
            )
            raise StateError(message)


def _check_same(obj: Any, state: Any, name: str) -> None:
    """The saved array or tensor must have the shape and dtype of the live one."""
    saved = (getattr(state, "shape", None), getattr(state, "dtype", None))
    if saved != (obj.shape, obj.dtype):
        message = (
            f"`{name}` has shape {tuple(obj.shape)} and dtype {obj.dtype}, its saved state is a `{_kind(state)}` "
            f"of shape {saved[0]} and dtype {saved[1]}; build it the same way as when it was saved"
        )
        raise StateError(message)


def _check_type(fits: bool, obj: Any, state: Any, name: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not fits:
        message = f"`{name}` is a `{_kind(obj)}`, its saved state is a `{_kind(state)}`; hand over the same kind"
        raise StateError(message)


def _has_state_dict(obj: Any) -> bool:
    return (
        not isinstance(obj, type)
        and callable(getattr(obj, "state_dict", None))
        and callable(getattr(obj, "load_state_dict", None))
    )


def _defines(obj: Any, method: str) -> bool:
    """Tell whether the class of ``obj`` has a method of its own, not the one every object has."""
    own = getattr(type(obj), method, None)
    return own is not None and own is not getattr(object, method, None)


def _torch() -> Any:
    """Torch if it is imported (then an object may be one of its), else None."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "Tensor") and hasattr(torch, "Generator") else None


def _kind(obj: Any) -> str:
    kind = type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
