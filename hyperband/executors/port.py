"""The state of one segment: what its trial had saved on one side, what it will have saved on the other."""

from collections.abc import Mapping
from typing import Any

from hyperband import randomness
from hyperband.checkpoints import Encoded, capture, decode, encode, restore
from hyperband.errors import StateError

_RANDOM, _STATE = "@random", "@state"  # names no keyword argument can have


class Port:
    """The state of one segment: encoded entries of its checkpoint on one side, the next one's on the other."""

    def __init__(self, saved: Mapping[str, Encoded] | None) -> None:
        self._saved = saved
        self.entries: dict[str, Encoded] = {}

    @property
    def resuming(self) -> bool:
        """Whether there is a checkpoint to continue from."""
        return self._saved is not None

    def restore(self, objects: Mapping[str, object]) -> None:
        """Bring live objects back to the saved state, in place."""
        for name, obj in objects.items():
            restore(obj, self.load(name), name)

    def load(self, name: str) -> Any:
        """Return a saved value."""
        saved = self._saved or {}
        if name not in saved:
            known = ", ".join(f"`{key}`" for key in saved if not key.startswith("@"))
            msg = f"the checkpoint has no `{name}` (it has {known}); hand the same objects to every segment"
            raise StateError(msg)
        return decode(saved[name], name)

    def restore_context(self) -> dict[str, Any]:
        """Bring the random number generators back and return ``ctx.state``."""
        randomness.restore(self.load(_RANDOM))
        state: dict[str, Any] = self.load(_STATE)
        return state

    def capture(self, objects: Mapping[str, object], state: Mapping[str, Any]) -> None:
        """Copy live objects."""
        self.save({name: capture(obj, name) for name, obj in objects.items()}, state)

    def save(self, values: Mapping[str, object], state: Mapping[str, Any]) -> None:
        """Encode values, ``ctx.state`` and the random number generators as they are now."""
        entries = {name: encode(name, value) for name, value in values.items()}
        entries[_STATE] = encode("ctx.state", dict(state))
        entries[_RANDOM] = encode(_RANDOM, randomness.capture())
        self.entries = entries
