"""Plain lines for logs and pipes: one when a rung closes, one for each first failure."""

import time
from collections.abc import Callable
from typing import Final, TextIO

from hyperband.manager import Callback
from hyperband.messages import Json
from hyperband.progress.notices import Notices
from hyperband.progress.table import clock
from hyperband.results import ExperimentView
from hyperband.results.text import clean, number, plural
from hyperband.results.view import RungView

#: Seconds of silence after which a result is worth a line although no rung has closed.
HEARTBEAT: Final = 30.0


class LineProgress(Callback):
    """Writes text that needs no terminal.

    Args:
        stream: Where to.
        now: Seconds on a clock that never goes backwards.
    """

    def __init__(self, stream: TextIO, *, now: Callable[[], float] = time.monotonic) -> None:
        self.view = ExperimentView(detail=False)
        self._stream = stream
        self._now = now
        self._began = self._spoke = now()
        self._notices = Notices()
        self._old_news = False

    def on_start(self, header: Json) -> None:
        """Say what begins."""
        self.view.apply(header)
        self._began = self._now()
        plan = self.view.plan
        if plan is not None:
            self._say(f"{header['name']}: {plan.summary()}")

    def on_record(self, record: Json) -> None:
        """Take note, and say what is worth a line."""
        self.view.apply(record)
        if "seq" in record:  # read back from the journal
            self._old_news = True
            return
        if self._old_news:
            self._old_news = False
            self._say(f"resumed: {self._so_far()}")
        line = self._notices.line(record)
        if line is not None:
            self._say(line)
        elif record["type"] in ("promote", "stop"):
            rung = self.view.rungs[record["bracket"], record["rung"]]
            if rung.closed:
                self._say(self._closed(rung))
        elif record["type"] == "committed" and self._now() - self._spoke > HEARTBEAT:
            self._say(self._so_far())

    def on_end(self, finished: bool) -> None:  # noqa: FBT001 - fixed by Callback
        """Say how it ended."""
        self._say(f"{'finished' if finished else 'not finished'}: {self._so_far()}")

    def _closed(self, rung: RungView) -> str:
        view = self.view
        unit = plural(rung.resource, view.unit)
        ends = f"{rung.promoted} promoted, {rung.stopped} stopped" if not rung.completed else "all the way"
        failed = f", {rung.failed} failed" if rung.failed else ""
        best = "" if rung.best is None else f"; best {view.metric} {number(rung.best)} (trial {rung.best_trial})"
        trained = f"{plural(rung.done, 'trial')} trained to {unit}"
        return f"bracket {rung.bracket} rung {rung.rung}: {trained}, {ends}{failed}{best}"

    def _so_far(self) -> str:
        view = self.view
        planned = view.plan.units if view.plan else 0
        text = f"{view.units:,} of {plural(planned, view.unit)}"
        if view.best is not None:
            best = view.best
            after = plural(best.resource, view.unit)
            text += f", best {view.metric} {number(best.value)} (trial {best.trial} after {after})"
        return text

    def _say(self, text: str) -> None:
        self._spoke = self._now()
        print(f"{clock(self._spoke - self._began):>5}  {clean(text)}", file=self._stream, flush=True)
