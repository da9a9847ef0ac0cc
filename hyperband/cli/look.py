"""``ls``, ``status``, ``show``, ``why``, ``best``: commands that only read."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hyperband.cli import options
from hyperband.cli.output import Output
from hyperband.cli.paths import STORAGE, experiments_in, find_experiment
from hyperband.errors import ExperimentNotFoundError, HyperbandError, NoResultError
from hyperband.messages import Json
from hyperband.progress.ending import best_page, commands, facts, heading, indented, next_commands
from hyperband.progress.table import headline, rung_table, trouble_line
from hyperband.results import Failure, Result, TrialResult, load_result
from hyperband.results.text import clean, duration, flat, number, one_line, plural, setting
from hyperband.results.values import strict

#: Reports of a trial that `show` lists; of more, every n-th.
CURVE_LINES = 30

#: Different failures that `status` lists.
GROUPS = 5

TrialNumber = Annotated[int, typer.Argument(metavar="TRIAL", help="Number of the trial, from 0.")]


def ls(
    storage: Annotated[Path, typer.Argument(help="Directory of experiments.")] = STORAGE,
    storage_option: Annotated[Path | None, typer.Option("--storage", help="The same, as in `run`.")] = None,
    as_json: options.Json = False,
) -> None:
    """List experiments."""
    output = Output(as_json)
    storage = storage_option or storage
    if storage != STORAGE and not storage.is_dir():
        msg = f"there is no directory `{storage}`"
        raise ExperimentNotFoundError(msg)
    rows = sorted((_entry(storage / name) for name in experiments_in(storage)), key=lambda row: row["created"] or 0)
    page: RenderableType = _listing(rows) if rows else Text(f"no experiments in {storage}; try: hyperband demo")
    output.answer({"storage": str(storage), "experiments": rows}, page)


def _entry(path: Path) -> Json:
    """Return what `ls` says of an experiment; a damaged one is listed too."""
    try:
        result = Result(path, detail=False)
    except HyperbandError as error:
        return {"name": path.name, "path": str(path), "status": "unreadable", "created": None, "error": str(error)}
    view = result.view
    return {
        "name": result.name,
        "path": str(path),
        "status": result.status,
        "created": view.header.get("created"),
        "scheduler": result.plan.scheduler,
        "trials": view.started,
        "unit": view.unit,
        "units": view.units,
        "units_planned": result.plan.units,
        "metric": result.metric,
        "best": None if view.best is None else strict(view.best.value),
    }


def _listing(rows: list[Json]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("name", overflow="fold", min_width=min(34, max(len(row["name"]) for row in rows)))
    table.add_column("status", no_wrap=True)
    table.add_column("begun", no_wrap=True)
    for name in ("trials", "trained", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    styles = {"finished": "green", "running": "cyan", "unreadable": "red"}
    for row in rows:
        status = Text(row["status"], style=styles.get(row["status"], "yellow"))
        if row["status"] == "unreadable":
            table.add_row(Text(clean(row["name"])), status, Text(one_line(row["error"], 60), style="dim"))
            continue
        begun = datetime.fromtimestamp(row["created"]).astimezone().strftime("%m-%d %H:%M") if row["created"] else ""
        best = "\u2013" if row["best"] is None else f"{clean(row['metric'])} {number(row['best'])}"
        trained = f"{row['units']:,}/{plural(row['units_planned'], clean(row['unit']))}"
        table.add_row(Text(clean(row["name"])), status, begun, f"{row['trials']:,}", trained, best)
    return table


def status(path: options.ExperimentPath, as_json: options.Json = False) -> None:
    """Show how far an experiment is: planned and actual numbers of every rung."""
    result = load_result(find_experiment(path))
    view = result.view
    parts: list[RenderableType] = [headline(view, view.elapsed, state=result.status), "", rung_table(view)]
    trouble = trouble_line(view)
    if trouble is not None:
        parts += ["", trouble]
    parts += [Text(line, style="dim") for line in _grouped(result.failures)]
    if result.status in ("interrupted", "unfinished"):
        parts += ["", commands(row for row in next_commands(result) if " resume " in row[0])]
    document = {**result.to_json(), "failures": [failure.to_json() for failure in result.failures]}
    Output(as_json).answer(document, Group(*parts))


def _grouped(failures: Sequence[Failure]) -> list[str]:
    """Return a line per kind of failure, most frequent first, with the trials it befell."""
    groups: dict[str, list[int]] = {}
    for failure in failures:
        groups.setdefault(one_line(failure.message), []).append(failure.trial)
    lines = []
    for message, trials in sorted(groups.items(), key=lambda item: -len(item[1]))[:GROUPS]:
        some = ", ".join(map(str, trials[:5])) + (" ..." if len(trials) > 5 else "")
        lines.append(f"  {message}  (trial{'s' if len(trials) > 1 else ''} {some})")
    if len(groups) > GROUPS:
        rest = plural(len(groups) - GROUPS, "other message")
        lines.append(f"  and {rest}; `hyperband show` tells them trial by trial")
    return lines


def show(path: options.ExperimentPath, trial: TrialNumber, as_json: options.Json = False) -> None:
    """Show one trial: config, learning curve, metrics."""
    result = load_result(find_experiment(path))
    found = result.why(trial).trial
    Output(as_json).answer(found.to_json(), _trial_page(result, found))


def _trial_page(result: Result, trial: TrialResult) -> RenderableType:
    unit = clean(result.view.unit)
    about = [
        ("status", trial.status),
        ("bracket", str(trial.bracket)),
        ("trained", f"{plural(trial.resource, unit)} in {duration(trial.seconds)}"),
    ]
    if trial.failure is not None:
        about.append(("failure", f"{trial.failure.kind}: {one_line(trial.failure.message, 300)}"))
    config = [(clean(name), setting(value)) for name, value in flat(trial.config).items()]
    metrics = [(clean(name), number(value)) for name, value in trial.metrics.items()]
    parts: list[RenderableType] = [heading(f"trial {trial.id} of {clean(result.name)}"), indented(facts(about))]
    for title, rows in (("Config", config), ("Metrics", metrics)):
        if rows:
            parts += ["", heading(title), indented(facts(rows))]
    if len(trial.curve) > 1:
        step = -(-len(trial.curve) // CURVE_LINES)
        points = [*trial.curve[:-1:step], trial.curve[-1]]
        rows = [(f"{unit} {resource}", number(value)) for resource, value in points]
        parts += ["", heading(clean(result.metric)), indented(facts(rows))]
    return Group(*parts)


def why(path: options.ExperimentPath, trial: TrialNumber, as_json: options.Json = False) -> None:
    """Tell why a trial was promoted or stopped, rung by rung."""
    story = load_result(find_experiment(path)).why(trial)
    Output(as_json).answer(story.to_json(), Text(str(story)))


def best(path: options.ExperimentPath, as_json: options.Json = False) -> None:
    """Show the best config and where its state is."""
    output = Output(as_json)
    result = load_result(find_experiment(path))
    try:
        found = result.best
    except NoResultError as error:
        output.error(error)
        raise typer.Exit(1) from error
    parts: list[RenderableType] = [best_page(result)]
    document: dict[str, Any] = {
        **found.to_json(),
        "metric": result.metric,
        "unit": result.view.unit,
        "status": result.status,
    }
    if found.checkpoint is not None:
        code = f"hyperband.load({str(result.path)!r}).best.load()"
        parts += ["", Text.assemble(("its saved state, in Python:  ", "dim"), (code, "cyan"))]
    if result.status != "finished":
        parts += ["", Text(f"so far: the experiment is {result.status}", style="yellow")]
    output.answer(document, Group(*parts))
