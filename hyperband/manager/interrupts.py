"""Ctrl-C and SIGTERM while a run is going on: the first asks to stop, the second insists.

Handlers are installed after the executor has started (``ray.init`` replaces the one for SIGTERM), only in the main
thread, and the previous ones come back afterwards.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Context manager that turns signals into a flag.

    Attributes:
        received: The first signal that came, or None.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.received: signal.Signals | None = None
        self._enabled = enabled and threading.current_thread() is threading.main_thread()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        if self._enabled:
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the previous handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - fixed by the signal module
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
