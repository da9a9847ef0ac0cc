"""The table of rungs and the lines above it, for the live display and for the commands that show a result."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hyperband.results import ExperimentView
from hyperband.results.text import clean, number, plural
from hyperband.results.view import RungView

DASH: Final = "\u2013"
#: Columns of everything above the table, so that both end at about the same place also on wide terminals.
WIDTH: Final = 76
_NUMBERS: Final = ("running", "trained", "failed", "promoted", "stopped")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table: a rung, or a whole bracket where there is no room for its rungs."""

    state: str  #: waiting, running or closed
    bracket: str
    rung: str
    planned: str
    numbers: tuple[int, ...]  #: in the order of ``_NUMBERS``
    best: float | None
    is_best: bool


def rung_table(view: ExperimentView, *, room: int | None = None) -> Table:
    """Return one line per bracket and rung: planned, running, trained, failed, promoted, stopped, best.

    Args:
        view: What is known.
        room: Most lines there is room for; brackets that are over, then those that have not begun, shrink to one
            line each if that is needed.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("bracket", justify="right", no_wrap=True)
    table.add_column("rung", justify="right", no_wrap=True)
    table.add_column("planned", justify="right", no_wrap=True)
    running = not view.finished  # at the end the column would be empty
    for name in _NUMBERS if running else _NUMBERS[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("best", justify="right", no_wrap=True)
    rows = _rows(view, room)
    for row, best in zip(rows, same_decimals([row.best for row in rows]), strict=True):
        table.add_row(*_cells(row, best, running=running), style="dim" if row.state == "waiting" else None)
    return table


def _rows(view: ExperimentView, room: int | None) -> list[_Row]:
    brackets: list[list[RungView]] = []
    for rung in view.rungs.values():
        if rung.rung == 0:
            brackets.append([])
        brackets[-1].append(rung)
    lines = sum(map(len, brackets))
    small = set()
    for state in ("closed", "waiting"):
        for index, rungs in enumerate(brackets):
            if room is not None and lines > room and _state(rungs) == state:
                small.add(index)
                lines -= len(rungs) - 1
    rows = []
    for index, rungs in enumerate(brackets):
        rows += [_whole(view, rungs)] if index in small else [_single(view, rung) for rung in rungs]
    return rows


def _state(rungs: Sequence[RungView]) -> str:
    """How far a bracket, or a single rung, is."""
    if rungs[0].decided == 0 and not any(rung.running or rung.done or rung.failed for rung in rungs):
        return "waiting"
    # A bracket is over when none of its rungs has trials without a verdict, also if its upper rungs were never reached.
    return "closed" if all(rung.decided >= rung.entered for rung in rungs) else "running"


def _single(view: ExperimentView, rung: RungView) -> _Row:
    first = rung.rung == 0
    return _Row(
        _state([rung]),
        str(rung.bracket) if first else "",
        str(rung.rung),
        f"{rung.planned} @ {rung.resource}",
        (rung.running, rung.done, rung.failed, rung.promoted, rung.stopped),
        rung.best,
        _has_best(view, rung),
    )


def _whole(view: ExperimentView, rungs: Sequence[RungView]) -> _Row:
    """A bracket on one line: its trials, all segments, and the best value of its highest rung that has one."""
    reached = [rung for rung in rungs if rung.best is not None]
    return _Row(
        _state(rungs),
        str(rungs[0].bracket),
        f"0{DASH}{len(rungs) - 1}" if len(rungs) > 1 else "0",
        f"{rungs[0].planned}\u2192{rungs[-1].planned} @ {rungs[-1].resource}",
        (
            sum(rung.running for rung in rungs),
            sum(rung.done for rung in rungs),
            sum(rung.failed for rung in rungs),
            sum(rung.promoted for rung in rungs),
            sum(rung.stopped for rung in rungs),
        ),
        reached[-1].best if reached else None,
        any(_has_best(view, rung) for rung in rungs),
    )


def _has_best(view: ExperimentView, rung: RungView) -> bool:
    return view.best is not None and (rung.best_trial, rung.resource) == (view.best.trial, view.best.resource)


def same_decimals(values: Sequence[float | None]) -> list[str]:
    """Return numbers as text with equally many decimals, so that their points stand below each other."""
    texts = [number(value) for value in values]
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    if decimals > 4 or any("e" in text for text in texts):  # too far apart for that
        return texts
    return [
        text if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"
        for value, text in zip(values, texts, strict=True)
    ]


def _cells(row: _Row, value: str, *, running: bool) -> list[RenderableType]:
    styles = ("cyan", "", "yellow", "", "")
    numbers = [
        Text(str(count) if count else DASH, style=style if count else "dim")
        for count, style in zip(row.numbers, styles, strict=True)
    ]
    best = Text(value, style="bold green" if row.is_best else ("dim" if row.best is None else ""))
    return [row.bracket, row.rung, row.planned, *(numbers if running else numbers[1:]), best]


def headline(view: ExperimentView, elapsed: float, *, state: str | None = None) -> RenderableType:
    """Return the lines above the table: what runs, how far it is, the best so far.

    Args:
        view: What is known.
        elapsed: Seconds.
        state: A word for how it stands, where a reader knows better than the records.
    """
    plan = view.plan
    if plan is None:
        return Text("starting", style="dim")
    eta = f", eta {plan.eta}" if plan.eta else ""
    title = Text.assemble(
        (clean(view.header.get("name", "")), "bold"),
        (f"  {clean(plan.scheduler)}, {plural(plan.max_resource, clean(plan.unit))}{eta}", "dim"),
    )
    top = _two_ends(title, Text(clock(elapsed), style="dim"))
    bar = Table.grid(expand=True, padding=(0, 1, 0, 0))
    bar.add_column(ratio=1)
    bar.add_column(justify="right", no_wrap=True)
    bar.add_row(
        ProgressBar(total=plan.units, completed=view.units, width=None, complete_style="cyan", finished_style="green"),
        f"{view.units:,} of {plural(plan.units, clean(plan.unit))}",
    )
    return Constrain(Group(top, bar, _two_ends(best_line(view), _activity(view, state))), WIDTH)


def best_line(view: ExperimentView, *, lead: str = "best ", metrics: bool = False) -> Text:
    """Return the incumbent in a line.

    Args:
        view: What is known.
        lead: First words.
        metrics: Show its other metrics, too.
    """
    best = view.best
    if best is None:
        return Text("no result" if view.finished else "no result yet", style="dim")
    others = [f", {clean(name)} {number(value)}" for name, value in best.metrics.items() if name != view.metric]
    return Text.assemble(
        f"{lead}{clean(view.metric)} ",
        (number(best.value), "bold green"),
        "".join(others) if metrics else "",
        (f"  trial {best.trial} after {plural(best.resource, clean(view.unit))}", "dim"),
    )


def _activity(view: ExperimentView, state: str | None) -> Text:
    if view.finished:
        return Text("finished", style="green")
    if state not in (None, "running"):
        return Text(state, style="yellow")
    if view.interrupted:
        return Text(f"stopping: {view.running} still running", style="yellow")
    if view.workers is None:
        return Text("starting the workers", style="dim")
    return Text(f"{view.running} running on {plural(view.workers, 'worker')}", style="cyan")


def trouble_line(view: ExperimentView) -> Text | None:
    """Return a line about failures and losses, or None if there were none."""
    parts = []
    if view.raised:
        parts.append(f"{plural(view.raised, 'trial')} failed")
    if view.not_finite:
        parts.append(f"{plural(view.not_finite, 'trial')} without a finite value")
    if view.losses:
        parts.append(f"{plural(view.losses, 'attempt')} lost and repeated")
    return Text(", ".join(parts), style="yellow") if parts else None


def clock(seconds: float) -> str:
    """Return a running time as ``0:42`` or ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _two_ends(left: Text, right: Text) -> Table:
    line = Table.grid(expand=True)
    line.add_column(ratio=1, no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line
