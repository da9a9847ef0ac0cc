"""Objects to bytes and back.

Two codecs. "torch" for what a ``state_dict`` is made of (tensors, numbers, text, lists, tuples, dicts): written by
``torch.save``, read with ``weights_only=True``, so reading runs no code. "pickle" for everything else, through
cloudpickle, so that functions and classes of a script or notebook come along. Neither ever falls back to the other:
the codec that wrote an entry is recorded with it.

``encode`` copies: what it returns does not change when the live object does.
"""

import io
import pickle
import platform
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import cloudpickle
import numpy as np

from hyperband.checkpoints import tensors
from hyperband.checkpoints.diagnose import find_culprit, type_name
from hyperband.errors import FormatVersionError, StateError

_ATOMS: Final = frozenset({int, float, bool, str, type(None)})
#: Exact types that the standard pickler saves as cloudpickle would, and what to look at inside.
_LEAVES: Final = _ATOMS | {bytes, complex, bytearray}
_GROUPS: Final = frozenset({list, tuple, set, frozenset})
_NUMPY_NUMBERS: Final = frozenset({np.float64, np.float32, np.int64, np.int32, np.bool_})
#: Objects in what counts as small; looking at more would take longer than it saves.
_SMALL: Final = 256
#: What every pickled array refers to. They are importable for sure, which cloudpickle would find out slowly each time.
_ARRAY_PARTS: Final = frozenset(map(id, (np.dtype, np.ndarray, np.empty(1).__reduce_ex__(5)[0])))


@dataclass(frozen=True, slots=True)
class Encoded:
    """An object as bytes, with what is needed to read them again."""

    codec: str  #: "torch" or "pickle"
    data: bytes
    #: Name and version of Python and of the libraries whose objects are inside; only for messages.
    written_by: tuple[tuple[str, str], ...] = field(default=(), compare=False)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    """Cloudpickle that moves tensors to the CPU and notes which libraries the objects come from."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.modules: set[str] = set()
        self._storages: dict[int, Any] = {}
        torch = sys.modules.get("torch")
        self._tensor: Any = getattr(torch, "Tensor", ())  # () while torch is not imported, or only half

    def reducer_override(self, obj: Any) -> Any:
        module = getattr(obj, "__module__", None)
        if type(module) is str:
            self.modules.add(module)
        if id(obj) in _ARRAY_PARTS:
            return NotImplemented
        if isinstance(obj, self._tensor):
            reduced = tensors.reduce_tensor(obj, self._storages)
            if reduced is not None:
                return reduced
        return super().reducer_override(obj)


class _Unpickler(pickle.Unpickler):
    """Unpickler that names the class that is not where it was."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError) as error:
            message = f"`{module}.{name}` is needed and cannot be imported here ({error})"
            raise _MovedError(message) from error


class _MovedError(Exception):
    """A class or function named in a pickle does not exist any more."""


class _Nowhere:
    """A file that forgets what is written to it."""

    def write(self, data: Any) -> int:
        return len(data)


def encode(name: str, obj: object) -> Encoded:
    """Return ``obj`` as bytes: a copy, on the CPU, with sharing inside ``obj`` preserved.

    Args:
        name: What error messages call it.
        obj: Anything that pickle, cloudpickle or torch can save.

    Raises:
        StateError: Something inside cannot be saved; the message gives its path and type.
    """
    buffer = io.BytesIO()
    torch = sys.modules.get("torch")
    try:
        plain = _plain_libraries(obj)
        if plain is not None:
            return Encoded("pickle", pickle.dumps(obj, 5), _versions(plain))
        if torch is not None and _is_state_dict(obj, torch):
            torch.save(obj, buffer)
            return Encoded("torch", buffer.getvalue(), _versions({"torch"}))
        pickler = _Pickler(buffer)
        pickler.dump(obj)
    except MemoryError:
        raise
    except Exception as error:
        raise StateError(_explain(name, obj, error)) from error
    return Encoded("pickle", buffer.getvalue(), _versions({module.partition(".")[0] for module in pickler.modules}))


def decode(encoded: Encoded, name: str = "state") -> Any:
    """Return the object that ``encoded`` was made of; tensors are on the CPU.

    The "pickle" codec runs code that the bytes name. Pass only bytes whose digest was verified against the journal
    (``CheckpointStore.load`` does) of an experiment that you trust.

    Args:
        encoded: Bytes and codec.
        name: What error messages call it.

    Raises:
        StateError: It cannot be rebuilt here, e.g. because a class has moved.
        FormatVersionError: The codec is not known.
    """
    try:
        if encoded.codec == "pickle":
            return _Unpickler(io.BytesIO(encoded.data)).load()
        if encoded.codec == "torch":
            import torch  # noqa: PLC0415 - only with data that needs it

            return torch.load(io.BytesIO(encoded.data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, _MovedError) else f"{type(error).__name__}: {error}"
        writer = ", ".join(f"{library} {version}" for library, version in encoded.written_by) or "unknown versions"
        message = (
            f"`{name}` cannot be rebuilt: {reason}. It was written with the codec `{encoded.codec}` by {writer}; this "
            f"is python {platform.python_version()}. Make the same code and versions importable, then load it again"
        )
        raise StateError(message) from error
    message = f"`{name}` was written with the codec `{encoded.codec}`, this version knows `torch` and `pickle`"
    raise FormatVersionError(message)


def _plain_libraries(obj: object) -> set[str] | None:
    """Return which libraries a small object made of plain data only needs, or None if it is anything else.

    Such an object has no function, class or tensor in it, which is all that the slower picklers are there for.
    """
    libraries: set[str] = set()
    groups: list[Any] = [(obj,)]
    left = _SMALL  # counted down also by an object that contains itself
    while groups:
        group = groups.pop()
        left -= len(group) + 1
        if left < 0:
            return None
        for item in group:
            kind = type(item)
            if kind in _LEAVES:
                continue
            if kind is dict:
                groups += (item.keys(), item.values())
            elif kind in _GROUPS:
                groups.append(item)
            elif kind in _NUMPY_NUMBERS or (
                kind is np.ndarray and item.dtype.isbuiltin == 1 and not item.dtype.hasobject
            ):
                libraries.add("numpy")
            else:
                return None
    return libraries


def _is_state_dict(obj: object, torch: Any) -> bool:
    """Tell whether ``obj`` holds tensors, and else only what ``torch.load(weights_only=True)`` takes."""
    found = False
    seen: set[int] = set()
    stack: list[Any] = [obj]
    tensor_types = (getattr(torch, "Tensor", None), getattr(getattr(torch, "nn", None), "Parameter", None))
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind in _ATOMS or id(item) in seen:
            continue
        seen.add(id(item))
        if kind is dict or kind is OrderedDict:
            stack.extend(item)
            stack.extend(item.values())
            if kind is OrderedDict:
                stack.extend(vars(item).values())
        elif kind is list or kind is tuple:
            stack.extend(item)
        elif kind in tensor_types and tensors.is_plain_tensor(item) and not vars(item):
            found = True
        else:
            return False
    return found


def _versions(roots: set[str]) -> tuple[tuple[str, str], ...]:
    """Python's version and those of the third-party libraries among ``roots``."""
    found = {}
    for root in roots - sys.stdlib_module_names:
        version = getattr(sys.modules.get(root), "__version__", None)
        if version is not None:
            found[root] = str(version)
    return ("python", platform.python_version()), *sorted(found.items())


def _explain(name: str, obj: object, error: Exception) -> str:
    """Say which part of ``obj`` cannot be saved."""

    def failure(part: object) -> Exception | None:
        try:
            _Pickler(_Nowhere()).dump(part)
        except Exception as found:  # noqa: BLE001 - the user's __getstate__ may raise anything
            return found
        return None

    path, culprit, reason = find_culprit(name, obj, failure)
    reason = reason or error
    return (
        f"`{path}` is a `{type_name(culprit)}`, which cannot be saved ({type(reason).__name__}: {reason}); "
        "keep it out of the state or define `__getstate__` on its owner"
    )
