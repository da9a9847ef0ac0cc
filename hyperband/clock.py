"""Time as an argument: the only two clocks, and neither is read above the purity line.

Durations come from ``monotonic`` (a clock jump fires no time-out); ``wall`` is written into the journal for people
and is never used for order, which sequence numbers give.
"""

from typing import Protocol


class Clock(Protocol):
    """What the impure layers ask for the time."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary origin; never goes backwards."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC as the machine believes; may jump."""
        ...


class VirtualClock:
    """A clock that stands still until it is told to move (simulation and tests)."""

    __slots__ = ("_now",)

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def monotonic(self) -> float:
        """Virtual seconds."""
        return self._now

    def wall(self) -> float:
        """Virtual seconds, read as seconds since 1970."""
        return self._now

    def advance_to(self, moment: float) -> None:
        """Move forward to ``moment``; a moment in the past leaves the clock where it is."""
        self._now = max(self._now, moment)
