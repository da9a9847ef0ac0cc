"""Progress as plain lines."""

import io
from typing import Any

from hyperband.progress import LineProgress
from hyperband.progress.notices import SHOWN


class StandingClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_each_rung_gets_one_line_when_it_closes(collected: Any) -> None:
    """As many lines as rungs were reached, in the order in which they closed, with the numbers of the view."""
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.on_start(collected.header)
    for record in collected.records:
        progress.on_record(record)
    progress.on_end(True)
    lines = stream.getvalue().splitlines()
    assert "4 brackets" in lines[0]
    closed = [line for line in lines if "rung" in line and "trained to" in line]
    rungs = [rung for rung in progress.view.rungs.values() if rung.entered]
    assert len(closed) == len(rungs)
    for rung in rungs:
        [line] = [line for line in closed if f"bracket {rung.bracket} rung {rung.rung}:" in line]
        assert f"{rung.done} trial" in line
        if not rung.completed:
            assert f"{rung.promoted} promoted, {rung.stopped} stopped" in line
    assert lines[-1].split("  ")[-1].startswith("finished:")


def test_failures_are_told_at_once_and_never_flood() -> None:
    """A thousand different failures give a handful of lines, one failure repeated gives one; no escape gets through."""
    stream = io.StringIO()
    progress = LineProgress(stream)
    lines = progress._notices
    told = [lines.line({"type": "failed", "trial": n, "message": f"\x1b[31merror {n}\nmore"}) for n in range(1000)]
    told = [line for line in told if line]
    assert len(told) == SHOWN + 1
    assert told[0] == "trial 0 failed: error 0"
    assert "only counted" in told[-1]
    fresh = LineProgress(stream)._notices
    assert sum(bool(fresh.line({"type": "failed", "trial": n, "message": "same"})) for n in range(1000)) == 1


def test_a_driver_that_ended_is_no_news() -> None:
    """Leases given back at a resume are not failures of anybody."""
    notices = LineProgress(io.StringIO())._notices
    assert (
        notices.line({"type": "lost", "trial": 1, "attempt": 1, "cause": "driver", "message": "the driver ended"})
        is None
    )
    assert notices.line({"type": "lost", "trial": 1, "attempt": 1, "cause": "worker", "message": "died"})


def test_history_is_not_told_again(collected: Any) -> None:
    """On a resume the earlier records come first, numbered; they give one line together."""
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.on_start(collected.header)
    half = len(collected.records) // 2
    for seq, record in enumerate(collected.records[:half]):
        progress.on_record({**record, "seq": seq})
    assert len(stream.getvalue().splitlines()) == 1
    progress.on_record(collected.records[half])
    assert "resumed: " in stream.getvalue().splitlines()[1]


def test_an_interruption_is_told(collected: Any) -> None:
    """What the signal means is said at once."""
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.on_start(collected.header)
    progress.on_record({"type": "interrupted", "signal": "SIGINT"})
    progress.on_end(False)
    assert "SIGINT: nothing new is started" in stream.getvalue()
    assert "not finished" in stream.getvalue()


def test_long_rungs_give_a_sign_of_life(collected: Any) -> None:
    """Half a minute without a line and a result comes in: one line; the next result says nothing."""
    stream, clock = io.StringIO(), StandingClock()
    progress = LineProgress(stream, now=clock)
    progress.on_start(collected.header)
    quiet = [record for record in collected.records if record["type"] in ("start", "committed")][:20]
    for record in quiet[:10]:
        progress.on_record(record)
    before = len(stream.getvalue().splitlines())
    clock.now = 31.0
    for record in quiet[10:]:
        progress.on_record(record)
    assert len(stream.getvalue().splitlines()) == before + 1
