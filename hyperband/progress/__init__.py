"""Layer 7: a run as it goes, live on a terminal or line by line. Both read the records that the journal gets."""

import sys
from typing import Final

from hyperband.errors import UnknownNameError, suggest
from hyperband.manager import Callback
from hyperband.progress.lines import LineProgress
from hyperband.progress.live import LiveProgress

KINDS: Final = ("auto", "live", "lines", "off")


def choose_progress(kind: str) -> Callback | None:
    """Return the display that a name stands for; all of them write to standard error.

    Args:
        kind: ``"live"``: a table that is redrawn; ``"lines"``: plain text; ``"off"``: nothing; ``"auto"``: live if
            standard error is a terminal, else nothing.

    Raises:
        UnknownNameError: It is none of these.
    """
    if kind not in KINDS:
        msg = f"`progress` is {kind!r}, which is not known.{suggest(str(kind), KINDS)}"
        raise UnknownNameError(msg)
    if kind == "lines":
        return LineProgress(sys.stderr)
    if kind == "live" or (kind == "auto" and sys.stderr.isatty()):
        return LiveProgress()
    return None


__all__ = ["KINDS", "LineProgress", "LiveProgress", "choose_progress"]
