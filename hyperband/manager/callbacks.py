"""Observers of a run: they see each journal record once it is durable, and can change nothing."""

import copy
import logging
from collections.abc import Sequence

from hyperband.messages import Json


class Callback:
    """Override what you need. A callback that raises is logged and dropped; it never stops a run.

    Records are those of the journal (see ``hyperband.messages.to_json``): ``start``, ``resume``, ``committed``,
    ``failed``, ``lost``, ``promote``, ``stop``, ``release``, ``finish`` ... A resumed run first shows the records of
    earlier drivers; these carry their number ``seq``, fresh ones do not yet.
    """

    def on_start(self, header: Json) -> None:
        """Take note of a run that begins or is resumed; ``header`` is the journal's first record."""

    def on_record(self, record: Json) -> None:
        """Take note of a record; on a resume the earlier ones are shown first."""

    def on_end(self, finished: bool) -> None:  # noqa: FBT001 - one fact, and the only one
        """Take note of the end; False if the run was interrupted or broke off."""


class Observers:
    """Several callbacks as one."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = list(callbacks)

    def on_start(self, header: Json) -> None:
        """Tell all of them."""
        self._tell("on_start", copy.deepcopy(header))

    def on_record(self, record: Json) -> None:
        """Tell all of them."""
        self._tell("on_record", record)

    def on_end(self, *, finished: bool) -> None:
        """Tell all of them."""
        self._tell("on_end", finished)

    def _tell(self, method: str, argument: object) -> None:
        for callback in list(self._callbacks):
            try:
                getattr(callback, method)(argument)
            except Exception:
                self._callbacks.remove(callback)
                logging.getLogger("hyperband").exception("callback %r failed and is not called any more", callback)
