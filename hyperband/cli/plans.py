"""``hyperband plan``: what a run will do, before it does anything."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hyperband.cli import options
from hyperband.cli.estimate import makespan
from hyperband.cli.output import Output
from hyperband.errors import ConfigurationError
from hyperband.messages import Json
from hyperband.planning import Plan
from hyperband.results.text import clean, duration, plural
from hyperband.schedulers import Scheduler, build_scheduler, scheduler_from_json


def plan(  # noqa: PLR0917 - one parameter per option
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="An experiment, to print the plan it was begun with.")
    ] = None,
    scheduler: options.SchedulerName = "hyperband",
    max_resource: options.MaxResource = None,
    eta: options.Eta = None,
    min_resource: options.MinResource = None,
    sizing: options.Sizing = None,
    n_configs: options.NConfigs = None,
    unit: options.Unit = "unit",
    seconds_per_unit: Annotated[
        float | None, typer.Option(help="Seconds one unit takes, to estimate the time.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trials at a time, for the estimate.")] = 1,
    as_json: options.Json = False,
) -> None:
    """Print the table of brackets and rungs; nothing is started."""
    output = Output(as_json)
    given = options.given(
        max_resource=max_resource, eta=eta, min_resource=min_resource, sizing=sizing, n_configs=n_configs
    )
    chosen, planned = _chosen(path, scheduler, given, unit)
    document: Json = {**planned.to_json(), **totals(planned)}
    page: list[RenderableType] = [plan_table(planned), "", Text(planned.summary())]
    if seconds_per_unit is not None:
        if not 0 < seconds_per_unit < float("inf"):
            msg = f"`--seconds-per-unit` is {seconds_per_unit}, must be a number > 0"
            raise ConfigurationError(msg)
        seconds = makespan(chosen, planned, workers, seconds_per_unit)
        document |= {"seconds": seconds, "workers": workers}
        page.append(Text(f"about {duration(seconds)} with {plural(workers, 'worker')}"))
    output.answer(document, Group(*page))


def _chosen(path: Path | None, name: str, given: dict[str, Any], unit: str) -> tuple[Scheduler, Plan]:
    """Return the scheduler and the plan that the arguments mean."""
    if path is not None:
        from hyperband.cli.paths import find_experiment  # noqa: PLC0415 - not for a plan from options
        from hyperband.results import Result  # noqa: PLC0415

        if given:
            option = next(iter(given)).replace("_", "-")
            msg = f"`--{option}` and an experiment are given, but the experiment has its own plan; leave one away"
            raise ConfigurationError(msg)
        result = Result(find_experiment(path), detail=False)
        return scheduler_from_json(result.view.header["scheduler"]), result.plan
    scheduler = build_scheduler(name, given)
    planned = scheduler.plan()
    return scheduler, Plan(planned.scheduler, planned.max_resource, planned.eta, planned.brackets, unit)


def totals(planned: Plan) -> Json:
    """Return the sums of a plan."""
    return {
        "trials": planned.trials,
        "segments": planned.segments,
        "units": planned.units,
        "units_without_resume": planned.units_without_resume,
        "peak_checkpoints": planned.peak_checkpoints,
    }


def plan_table(planned: Plan) -> Table:
    """Return a line per bracket, a cell ``trials @ resource`` per rung."""
    depth = max((len(bracket.rungs) for bracket in planned.brackets), default=0)
    gap = 2 if depth <= 5 else 1
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    for name in ("bracket", "s", *(f"rung {k}" for k in range(depth)), "segments", f"{clean(planned.unit)}s"):
        table.add_column(name, justify="right", no_wrap=True)
    for index, bracket in enumerate(planned.brackets):
        cells = [f"{rung.n} @ {rung.resource}" if depth <= 5 else f"{rung.n}@{rung.resource}" for rung in bracket.rungs]
        cells += [""] * (depth - len(cells))
        table.add_row(str(index), str(bracket.s), *cells, str(bracket.segments), str(bracket.units))
    return table
