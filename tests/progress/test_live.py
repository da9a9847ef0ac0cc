"""The live table."""

import io
import re
import time
from typing import Any

import pytest
from rich.console import Console

import hyperband as hb
from hyperband.errors import UnknownNameError
from hyperband.progress import KINDS, LineProgress, LiveProgress, choose_progress
from hyperband.progress.table import rung_table, same_decimals


def text_of(console: Console, part: Any) -> list[str]:
    """What a renderable looks like on a console, without colours."""
    with console.capture() as capture:
        console.print(part)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in capture.get().splitlines()]


def at(collected: Any, count: int, console: Console) -> LiveProgress:
    """A display after so many records, without the thread that draws."""
    progress = LiveProgress(console, now=lambda: 0.0)
    progress.view.apply(collected.header)
    for record in collected.records[:count]:
        progress.on_record(record)
    return progress


def test_each_rung_has_a_line_that_fits(collected: Any, console: Console) -> None:
    """At any moment: one line per rung with its planned size, nothing cut off, nothing wider than the terminal."""
    for count in range(0, len(collected.records), 17):
        progress = at(collected, count, console)
        lines = text_of(console, progress.render())
        assert max(map(len, lines)) <= console.width
        assert not any("\u2026" in line for line in lines)
        for rung in progress.view.rungs.values():
            assert sum(f"{rung.planned} @ {rung.resource}" in line.replace("  ", " ") for line in lines) >= 1
        assert len(lines) <= 4 + 1 + len(progress.view.rungs) + 2


def test_the_table_tells_the_numbers_of_the_view(collected: Any, console: Console) -> None:
    """Planned, running, trained, failed, promoted, stopped: cell by cell."""
    progress = at(collected, len(collected.records) // 2, console)
    lines = text_of(console, rung_table(progress.view))[1:]
    for line, rung in zip(lines, progress.view.rungs.values(), strict=True):
        cells = [0 if cell == "\u2013" else int(cell) for cell in line.split("@")[1].split()[1:6]]
        assert cells == [rung.running, rung.done, rung.failed, rung.promoted, rung.stopped]


def test_in_a_low_terminal_brackets_shrink(collected: Any, console: Console) -> None:
    """Brackets that are over, then those that wait, take one line; the open one keeps its rungs."""
    progress = at(collected, len(collected.records), console)
    brackets = len(progress.view.plan.brackets) if progress.view.plan else 0
    assert len(text_of(console, rung_table(progress.view, room=4))) == 1 + brackets
    assert len(text_of(console, rung_table(progress.view, room=100))) == 1 + len(progress.view.rungs)


def test_a_failure_is_shown_above_the_table_at_once(collected: Any) -> None:
    """It is on the screen when `on_record` returns, clean, and the table is still there at the end."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=40)
    progress = LiveProgress(console)
    progress.on_start(collected.header)
    for record in collected.records:
        progress.on_record(record)
        if record["type"] == "failed":
            assert f"trial {record['trial']} failed" in console.file.getvalue()  # type: ignore[attr-defined]
            break
    progress.on_end(True)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[2J" not in shown
    assert "planned" in shown


def test_a_record_costs_microseconds(collect: Any) -> None:
    """Drawing happens at its own rate: thousands of records a second take a few hundredths of a core."""
    collected = collect(hb.FIFO(1, n_configs=1000), lambda config, resource: {"accuracy": config["x"]})
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=40)
    progress = LiveProgress(console)
    progress.on_start(collected.header)
    began = time.thread_time()  # of this thread alone: neither the drawing nor other processes count
    for record in collected.records:
        progress.on_record(record)
    seconds = (time.thread_time() - began) / len(collected.records)
    progress.on_end(True)
    assert seconds < 1e-4  # about 4e-6 is usual; a redraw for each record would take 3e-3


def test_an_old_interruption_is_not_shown_on_a_resume(collected: Any, console: Console) -> None:
    """Records that are read back tell where the run is, not that somebody is stopping it."""
    progress = at(collected, 10, console)
    progress.on_record({"type": "interrupted", "signal": "SIGINT", "seq": 11})
    assert not any("stopping" in line for line in text_of(console, progress.render()))
    progress.on_record({"type": "interrupted", "signal": "SIGINT"})
    assert any("stopping" in line for line in text_of(console, progress.render()))


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.5, 0.975, None], ["0.500", "0.975", "\u2013"]),
        ([1e-9, 0.5], ["1e-09", "0.5"]),
        ([3.0, 12.0], ["3", "12"]),
        ([float("inf"), 0.5], ["inf", "0.5"]),
    ],
)
def test_decimal_points_stand_below_each_other(values: list[float | None], shown: list[str]) -> None:
    """Equally many decimals, unless the numbers are too far apart."""
    assert same_decimals(values) == shown


def test_choosing_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name; "auto" is live on a terminal and nothing elsewhere; a wrong name is answered with the near one."""
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert choose_progress("off") is None
    assert choose_progress("auto") is None
    assert isinstance(choose_progress("lines"), LineProgress)
    assert isinstance(choose_progress("live"), LiveProgress)
    with pytest.raises(UnknownNameError, match="`lines`"):
        choose_progress("line")
    assert set(KINDS) == {"auto", "live", "lines", "off"}
