"""What is shown when a run has ended: planned and actual numbers, the best config, what the checkpoints saved."""

import shlex
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hyperband.progress.table import best_line, clock, rung_table, trouble_line
from hyperband.results import Result
from hyperband.results.text import clean, flat, one_line, plural, program, setting


def ending(result: Result, *, more: Sequence[tuple[str, str]] = (), wall: float | None = None) -> RenderableType:
    """Return the closing page of a run.

    Args:
        result: What came out.
        more: Further facts about the best trial, as name and value.
        wall: Seconds the command took; after several runs, or without it, what the journal tells counts.
    """
    view = result.view
    title = Text.assemble(("Planned and actual", "bold"), (f"  planned: trials @ {clean(view.unit)}s", "dim"))
    parts: list[RenderableType] = [title, indented(rung_table(view))]
    trouble = trouble_line(view)
    if trouble is not None:
        parts += ["", indented(trouble)]
    if view.first_failure and view.raised:
        parts.append(indented(Text(f"the first one: {one_line(view.first_failure)}", style="dim")))
    drivers = len(view.drivers)
    together = f"{clock(view.elapsed)} in {drivers} runs, interruptions not counted"
    seconds = view.elapsed if wall is None else wall
    cost = [*savings(result), ("wall time", together if drivers > 1 else clock(seconds))]
    parts += ["", heading("Best"), indented(best_page(result, more)), "", heading("Cost"), indented(facts(cost))]
    parts += ["", heading("Next"), indented(commands(next_commands(result)))]
    return Group(*parts)


def savings(result: Result) -> list[tuple[str, str]]:
    """Return what was trained, and what it would have been without checkpoints."""
    view = result.view
    unit = clean(view.unit)
    without = view.units_without_resume
    saved = without - view.units
    share = f" ({saved / without:.0%} of them saved)" if saved else ""
    return [
        ("trained", f"{view.units:,} of {plural(result.plan.units, unit)} planned"),
        ("without resuming", f"{plural(without, unit)}{share}"),
    ]


def best_page(result: Result, more: Sequence[tuple[str, str]] = ()) -> RenderableType:
    """Return the incumbent and its config, one setting a line."""
    view = result.view
    if view.best is None:
        why = f": {one_line(view.first_failure)}" if view.first_failure else ""
        return Text(f"no trial has a result{why}", style="yellow")
    rows = [(clean(name), setting(value)) for name, value in flat(view.best.config).items()]
    return Group(best_line(view, lead="", metrics=True), facts([*rows, *more]))


def heading(text: str) -> Text:
    """Return a section's title."""
    return Text(text, style="bold")


def indented(part: RenderableType) -> Padding:
    """Return a part, moved two columns to the right."""
    return Padding(part, (0, 0, 0, 2), expand=False)


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Return names and values in two columns."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def commands(rows: Iterable[tuple[str, str]]) -> Table:
    """Return commands to paste and what they do."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for command, what in rows:
        table.add_row(Text(command, style="cyan"), Text(what))
    return table


def next_commands(result: Result) -> list[tuple[str, str]]:
    """Return what to try next; every line works when it is pasted."""
    path, name = shlex.quote(str(result.path)), program()
    rows = [(f"{name} status {path}", "this table, also while it runs")]
    trial = telling_trial(result)
    if trial is not None:
        rows.append((f"{name} why {path} {trial}", f"why trial {trial} went no further"))
    if result.view.best is not None:
        rows.append((f"{name} best {path}", "the best config and its state"))
    if result.status == "finished":
        rows.append((f"{name} plan {path}", "what was planned"))
    elif result.status != "running":
        rows.append((f"{name} resume {path}", "go on from here"))
    return rows


def telling_trial(result: Result) -> int | None:
    """Return the trial whose story tells most: the one that rose furthest before it was cut; ties by rank."""
    told = [
        (len(trial.decisions), -(trial.decisions[-1].rank or 0), -trial.id)
        for trial in result.view.trials.values()
        if trial.status == "stopped" and trial.decisions
    ]
    return -max(told)[2] if told else None
