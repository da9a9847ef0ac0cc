"""A result as plain text and as HTML, for ``print(result)`` and for notebooks."""

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from hyperband.results.text import clean, number, one_line, plural, settings
from hyperband.results.values import RungRow
from hyperband.results.view import ExperimentView

if TYPE_CHECKING:
    from hyperband.results.result import Result

#: Columns of the table of rungs.
HEAD: Final = ("bracket", "rung", "planned", "trained", "failed", "promoted", "stopped", "best")


def status_sentence(view: ExperimentView, status: str) -> str:
    """Return in a few words how far an experiment is."""
    if view.plan is None:
        return status
    units = f"{view.units:,} of {plural(view.plan.units, view.plan.unit)}"
    return f"{status}: {view.started} of {plural(view.plan.trials, 'trial')} begun, {units} trained"


def savings(view: ExperimentView) -> str:
    """Return what the checkpoints saved, and what was spent beyond the committed segments."""
    saved = view.units_without_resume - view.units
    share = f", {saved / view.units_without_resume:.0%} saved" if saved else ""
    unit = view.unit
    return f"{plural(view.units, unit)} trained; without checkpoints {view.units_without_resume:,}{share}"


def troubles(view: ExperimentView) -> list[str]:
    """Return a line for each kind of trouble there was; empty if there was none."""
    lines = []
    if view.raised:
        lines.append(f"{plural(view.raised, 'trial')} failed")
    if view.not_finite:
        lines.append(f"{plural(view.not_finite, 'trial')} reported a value that is not finite")
    if view.losses:
        lines.append(f"{plural(view.losses, 'attempt')} lost and tried again")
    if view.stale:
        lines.append(f"{plural(view.stale, 'late result')} ignored")
    return lines


def cells(row: RungRow) -> tuple[str, ...]:
    """Return a rung as the cells of ``HEAD``."""
    return (
        str(row.bracket),
        str(row.rung),
        f"{row.planned} @ {row.resource}",
        str(row.done + row.failed + row.carried),
        str(row.failed or "\u2013"),
        str(row.promoted or "\u2013"),
        str(row.stopped or "\u2013"),
        number(row.best),
    )


def plain_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table as lines of text, the cells right-aligned."""
    body = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in body) for column in range(len(head))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in body]


def as_text(result: "Result") -> str:
    """Return the result as a few lines and a table."""
    view = result.view
    lines = [f"{clean(result.name)} ({result.path}): {status_sentence(view, result.status)}"]
    if view.best is not None:
        best = view.best
        lines.append(
            f"best: {clean(view.metric)} {number(best.value)} of trial {best.trial} after "
            f"{plural(best.resource, view.unit)}: {settings(best.config)}"
        )
    elif view.first_failure:
        still = "no result" if view.finished else "no result yet"
        lines.append(f"{still}; the first failure: {one_line(view.first_failure)}")
    lines.append(savings(view))
    lines += troubles(view)
    lines += ["", *plain_table(HEAD, map(cells, result.rungs))]
    return "\n".join(lines)


def as_html(result: "Result") -> str:
    """Return the result as HTML; everything in it is escaped."""
    head, _, _ = as_text(result).partition("\n\n")
    name, *rest = (html.escape(line) for line in head.splitlines())
    columns = "".join(f"<th>{html.escape(cell)}</th>" for cell in HEAD)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells(row)) + "</tr>" for row in result.rungs
    )
    table = f"<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div><strong>{name}</strong><br>{'<br>'.join(rest)}{table}</div>"
