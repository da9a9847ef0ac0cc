"""Failures and losses as single lines, at once but never as a flood."""

from typing import Final

from hyperband.messages import Json
from hyperband.results.text import one_line

#: Lines of one kind that are shown; more are only counted.
SHOWN: Final = 5


class Notices:
    """Turns records into lines worth a word: the first failures and losses, and what an interruption means."""

    def __init__(self) -> None:
        self._count = {"failed": 0, "lost": 0}
        self._seen: set[str] = set()

    def line(self, record: Json) -> str | None:
        """Return what is to be said about a record, or None."""
        kind = record["type"]
        if kind == "interrupted":
            signal = record.get("signal", "a signal")
            return f"{signal}: nothing new is started, what runs may end; once more stops at once"
        if kind not in self._count:
            return None
        message = one_line(record.get("message", "")) or "no message"
        if kind == "failed":
            return self._bounded(kind, f"trial {record['trial']} failed: {message}", message)
        if record["cause"] == "driver":
            return None
        text = f"trial {record['trial']} lost its attempt {record['attempt']} ({record['cause']}): {message}"
        return self._bounded(kind, text, message)

    def _bounded(self, kind: str, text: str, message: str) -> str | None:
        """A message is shown once, and few different ones; then one line says that the rest is counted."""
        if message in self._seen or self._count[kind] > SHOWN:
            return None
        self._seen.add(message)
        self._count[kind] += 1
        if self._count[kind] > SHOWN:
            what = "failed" if kind == "failed" else "lost attempts"
            return f"more trials {what}; from here on they are only counted"
        return text
