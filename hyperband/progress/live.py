"""A table on the terminal that is redrawn while a run goes on."""

import sys
import time
from collections.abc import Callable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from hyperband.manager import Callback
from hyperband.messages import Json
from hyperband.progress.notices import Notices
from hyperband.progress.table import headline, rung_table, trouble_line
from hyperband.results import ExperimentView

#: Redraws per second. They happen beside the run, at this rate and whatever the rate of records, which cost
#: microseconds each.
RATE: Final = 4.0
#: Lines around the table: headline (3), two empty ones, its head, troubles, and one that stays free.
_AROUND: Final = 8


class LiveProgress(Callback):
    """One line per bracket and rung, progress, the best so far; failures scroll by above.

    Args:
        console: Where to draw; standard error by default.
        keep: Leave the last picture on the screen when the run has finished. After an interruption it always stays.
        now: Seconds on a clock that never goes backwards.
    """

    def __init__(
        self, console: Console | None = None, *, keep: bool = True, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.view = ExperimentView(detail=False)
        self._console = console or Console(stderr=True)
        self._keep = keep
        self._now = now
        self._began = now()
        self._notices = Notices()
        self._live: Live | None = None

    def on_start(self, header: Json) -> None:
        """Begin to draw."""
        self.view.apply(header)
        self._began = self._now()
        self._live = Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=RATE,
            redirect_stdout=sys.stdout.isatty(),  # into a file or pipe, what a trainable prints must stay apart
            vertical_overflow="ellipsis",
        )
        self._live.start()

    def on_record(self, record: Json) -> None:
        """Take note; a failure is shown at once."""
        self.view.apply(record)
        if "seq" in record:  # read back from the journal: old news, an interruption too
            self.view.interrupted = None
            return
        line = self._notices.line(record)
        if line is not None:
            self._console.print(Text(line, style="yellow"))

    def on_end(self, finished: bool) -> None:  # noqa: FBT001 - fixed by Callback
        """Draw once more and stop."""
        live, self._live = self._live, None
        if live is None:
            return
        live.transient = finished and not self._keep
        live.stop()

    def render(self) -> RenderableType:
        """Return the picture of this moment."""
        parts: list[RenderableType] = [
            headline(self.view, self._now() - self._began),
            "",
            rung_table(self.view, room=max(4, self._console.height - _AROUND)),
        ]
        trouble = trouble_line(self.view)
        if trouble is not None:
            parts += ["", trouble]
        return Group(*parts)
