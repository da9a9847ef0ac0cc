"""The global random number generators of a process: seed, save, restore, and leave as found.

Covers python's ``random``, numpy's legacy global generator and torch (CPU, and CUDA where it is in use). Torch is
never imported just to be seeded: where it is not there yet, ``seed_torch_when_imported`` waits for the import, so
that user code which imports torch inside its function draws the same numbers as code that imported it before.
"""

import contextlib
import random
import struct
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np

from hyperband.errors import ConfigurationError, StateError

#: States by generator: "python", "numpy", and "torch" and "cuda" where they were in use. Bytes, numbers and tuples.
RandomState: TypeAlias = dict[str, Any]

_SEEDS: Final = 2**64
_LOW: Final = 2**32 - 1
_MT19937: Final = "MT19937"
#: The numbers inside python's generator (the last one is its position) and inside numpy's, as bytes: one object is
#: written to a checkpoint many times faster than six hundred, and these stand in every checkpoint.
_PYTHON: Final = struct.Struct("<625I")
_NUMPY: Final = struct.Struct("<624I")


def seed_everything(seed: int) -> None:
    """Seed python's ``random``, numpy's global generator and, if it is imported, torch (CUDA included).

    Args:
        seed: 0 <= seed < 2**64. Below 2**32 each library gets it as it is.

    Raises:
        ConfigurationError: The seed is not such an integer.
    """
    _check_seed(seed)
    random.seed(seed)
    np.random.seed(seed if seed <= _LOW else [seed & _LOW, seed >> 32])  # noqa: NPY002 - user code may draw from it
    torch = _torch()
    if torch is not None:
        _seed_torch(torch, seed)


def capture() -> RandomState:
    """Return the states of all global generators in use; the generators are not moved, the state is a copy.

    Returns:
        Plain data by name: "python", "numpy", "torch" (bytes, if torch is imported) and "cuda" (bytes of each device,
        if CUDA is initialised).
    """
    version, numbers, gauss = random.getstate()
    state: RandomState = {"python": (version, _PYTHON.pack(*numbers), gauss), "numpy": _numpy_state()}
    torch = _torch()
    if torch is not None:
        state["torch"] = torch.get_rng_state().numpy().tobytes()
        if torch.cuda.is_initialized():
            state["cuda"] = [device.cpu().numpy().tobytes() for device in torch.cuda.get_rng_state_all()]
    return state


def restore(state: RandomState) -> None:
    """Put all generators into a captured state.

    A state with torch in it imports torch. CUDA states are restored for the devices that exist here; a trial that
    moved to a machine without one goes on with the CPU generators only.

    Args:
        state: What ``capture`` returned, maybe in another process.

    Raises:
        StateError: It is not such a state.
    """
    try:
        version, numbers, gauss = state["python"]
        random.setstate((version, _PYTHON.unpack(numbers), gauss))
        numpy_state = state["numpy"]
        if isinstance(numpy_state, tuple):
            name, key, *position = numpy_state
            numpy_state = (name, _NUMPY.unpack(key), *position)  # numpy takes a tuple of int faster than its own array
        np.random.set_state(numpy_state)  # noqa: NPY002
        if "torch" in state:
            import torch  # noqa: PLC0415 - only with a state that needs it

            torch.set_rng_state(torch.frombuffer(bytearray(state["torch"]), dtype=torch.uint8))
            if "cuda" in state and torch.cuda.is_available():
                for device, saved in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
                    torch.cuda.set_rng_state(torch.frombuffer(bytearray(saved), dtype=torch.uint8), device)
    except (LookupError, TypeError, ValueError, RuntimeError, struct.error) as error:
        message = (
            f"the saved random state cannot be restored ({type(error).__name__}: {error}); was it made by `capture`?"
        )
        raise StateError(message) from error


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Leave the process' random numbers as they were: on exit every global generator is where it was on entry.

    Generators that came into use inside (torch imported, CUDA initialised) end as if they had just been made (torch
    draws its first seed from the system), and a pending ``seed_torch_when_imported`` is put back.
    """
    state = capture()
    pending = _pending()
    pending_seed = None if pending is None else pending.seed
    try:
        yield
    finally:
        forget_torch_seed()
        torch = _torch()
        if torch is not None and "torch" not in state:
            torch.seed() if pending_seed is None else _seed_torch(torch, pending_seed)
        elif torch is None and pending_seed is not None:
            seed_torch_when_imported(pending_seed)
        restore(state)
        if torch is not None and "cuda" not in state and torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(torch.initial_seed())


def seed_torch_when_imported(seed: int) -> None:
    """Seed torch as soon as it is there: now if it is imported, else right after its import.

    Called again, the latest seed wins. ``forget_torch_seed`` takes it back.

    Args:
        seed: 0 <= seed < 2**64.

    Raises:
        ConfigurationError: The seed is not such an integer.
    """
    _check_seed(seed)
    torch = _torch()
    if torch is not None:
        forget_torch_seed()
        _seed_torch(torch, seed)
        return
    pending = _pending()
    if pending is None:
        sys.meta_path.insert(0, _TorchSeeder(seed))
    else:
        pending.seed = seed


def forget_torch_seed() -> None:
    """Take back what ``seed_torch_when_imported`` asked for; without a pending seed this does nothing."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _TorchSeeder)]


class _TorchSeeder(MetaPathFinder):
    """Waits on ``sys.meta_path`` for torch; lives there and nowhere else, so there is no state of our own to leak."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find torch as the other finders would, and have its loader seed it at the end."""
        if fullname != "torch":
            return None
        for finder in [finder for finder in sys.meta_path if not isinstance(finder, _TorchSeeder)]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _SeedingLoader(spec.loader)
                return spec
        return None


class _SeedingLoader(Loader):
    """Runs torch's own loader, gives the module back to it, and seeds."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As torch's own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module; the latest seed asked for, if any is left, is set before the importing line returns."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        pending = _pending()
        if pending is not None:
            forget_torch_seed()
            _seed_torch(module, pending.seed)


def _pending() -> _TorchSeeder | None:
    """The seeder that waits for torch, if there is one."""
    return next((finder for finder in sys.meta_path if isinstance(finder, _TorchSeeder)), None)


def _torch() -> Any:
    """Torch if it is imported completely, else None."""
    torch: Any = sys.modules.get("torch")
    return torch if torch is not None and not getattr(torch.__spec__, "_initializing", False) else None


def _for_torch(seed: int) -> int:
    """The seed that torch gets: its CPU generator looks at the lower 32 bits only, so the upper ones are mixed in."""
    return seed if seed <= _LOW else (seed ^ (seed >> 32) * 0x9E3779B1) % _SEEDS


def _seed_torch(torch: Any, seed: int) -> None:
    """Seed torch on the CPU and on every device it may have.

    ``torch.manual_seed`` asks every kind of device that was ever written, and notes a stack trace for each that has
    not started yet; that takes a hundred times as long as seeding, so it is left out of a torch built for CPUs only.
    """
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is not None and accelerator.current_accelerator() is None:
        torch.default_generator.manual_seed(_for_torch(seed))
    else:
        torch.manual_seed(_for_torch(seed))


def _numpy_state() -> Any:
    """State of numpy's global generator: packed, unless the user has put another kind of generator in its place."""
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002
    if state["bit_generator"] != _MT19937:
        return state
    inner = state["state"]
    key = inner["key"].astype("<u4", copy=False).tobytes()
    return _MT19937, key, int(inner["pos"]), int(state["has_gauss"]), float(state["gauss"])


def _check_seed(seed: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEEDS:
        message = f"`seed` is {seed!r:.80}, must be an integer with 0 <= seed < 2**64"
        raise ConfigurationError(message)
