"""``run``, ``resume``, ``demo``: commands that train."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console, Group
from rich.text import Text

from hyperband import api
from hyperband.cli import options
from hyperband.cli.output import Output
from hyperband.cli.paths import STORAGE, find_experiment
from hyperband.cli.plans import plan_table
from hyperband.demo import tour
from hyperband.errors import ConfigurationError, TrainableError
from hyperband.manager import Callback
from hyperband.planning import Plan
from hyperband.progress import LiveProgress, choose_progress
from hyperband.progress.ending import ending
from hyperband.results import Result
from hyperband.schedulers import build_scheduler
from hyperband.space import Space
from hyperband.trainable import locate


def run(  # noqa: PLR0917 - one parameter per option
    trainable: Annotated[
        str, typer.Argument(metavar="MODULE:FUNCTION", help="What to train; or path/to/file.py:name.")
    ],
    metric: Annotated[str, typer.Option(help="Key of the reported metric that ranks trials.")],
    mode: Annotated[str, typer.Option(help="min or max.")],
    space: Annotated[
        str | None, typer.Option(metavar="MODULE:OBJECT", help="Search space; default: `space` beside the function.")
    ] = None,
    scheduler: options.SchedulerName = "hyperband",
    max_resource: options.MaxResource = None,
    eta: options.Eta = None,
    min_resource: options.MinResource = None,
    sizing: options.Sizing = None,
    n_configs: options.NConfigs = None,
    sampler: Annotated[str, typer.Option(help="random or grid.")] = "random",
    data: Annotated[
        str | None, typer.Option(metavar="MODULE:OBJECT", help="Data, or a function that loads it.")
    ] = None,
    seed: options.Seed = 0,
    name: options.Name = None,
    storage: options.Storage = STORAGE,
    max_concurrent: options.MaxConcurrent = None,
    cpus: Annotated[float | None, typer.Option(help="CPUs that one trial reserves; default 1.")] = None,
    gpus: Annotated[float | None, typer.Option(help="GPUs that one trial reserves; fractions too.")] = None,
    executor: Annotated[str, typer.Option(help="ray, or inline: in this process, for debugging.")] = "ray",
    worker_output: Annotated[
        bool, typer.Option("--worker-output", help="Show what the trainable prints in its workers.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the experiment of this name if it exists.")
    ] = False,
    unit: options.Unit = "unit",
    progress: options.Progress = "auto",
    as_json: options.Json = False,
) -> None:
    """Search a space for the best config of a function of yours."""
    output = Output(as_json)
    began = time.monotonic()
    with output.guarded():
        chosen = build_scheduler(
            scheduler,
            options.given(
                max_resource=max_resource, eta=eta, min_resource=min_resource, sizing=sizing, n_configs=n_configs
            ),
        )
        result = api.run(
            _import(trainable),
            _find_space(trainable, space),
            metric=metric,
            mode=_mode(mode),
            scheduler=chosen,
            sampler=sampler,
            data=None if data is None else _import(data),
            resources=options.given(cpu=cpus, gpu=gpus) or None,
            max_concurrent=max_concurrent,
            executor=executor,
            worker_output=worker_output,
            storage=storage,
            name=name,
            seed=seed,
            callbacks=watchers(output, progress),
            resume="auto" if resume else False,
            unit=unit,
            progress="off",
        )
    finish(output, result, time.monotonic() - began)


def resume(
    path: options.ExperimentPath,
    executor: Annotated[str | None, typer.Option(help="Where to run; default: where it ran before.")] = None,
    max_concurrent: options.MaxConcurrent = None,
    progress: options.Progress = "auto",
    as_json: options.Json = False,
) -> None:
    """Continue an experiment that was interrupted or killed; everything committed counts."""
    output = Output(as_json)
    began = time.monotonic()
    found = find_experiment(path)
    if str(Path.cwd()) not in sys.path:  # as `python script.py` in this folder would have it
        sys.path.insert(0, str(Path.cwd()))
    with output.guarded():
        result = api.resume(
            found,
            executor=executor,
            max_concurrent=max_concurrent,
            callbacks=watchers(output, progress),
            progress="off",
        )
    finish(output, result, time.monotonic() - began)


def demo(
    storage: options.Storage = STORAGE,
    name: options.Name = None,
    seed: options.Seed = 0,
    max_concurrent: options.MaxConcurrent = None,
    progress: options.Progress = "auto",
    as_json: options.Json = False,
) -> None:
    """Tune a real network on real images on this machine: a tour in about a minute."""
    output = Output(as_json)
    began = time.monotonic()
    output.show(_opening(api.plan(tour.scheduler(), unit=tour.UNIT)))
    with output.guarded():
        result = tour.run(
            storage=storage,
            name=name,
            seed=seed,
            max_concurrent=max_concurrent,
            callbacks=watchers(output, progress),
        )
    finish(output, result, time.monotonic() - began)


def _opening(plan: Plan) -> Group:
    return Group(
        Text(tour.WHAT),
        "",
        Text("The plan, exact before anything starts", style="bold"),
        plan_table(plan),
        Text(plan.summary(), style="dim"),
        "",
    )


# --- before ----------------------------------------------------------------------------------


def watchers(output: Output, progress: str) -> list[Callback]:
    """Return the display that was asked for; a program that reads JSON gets one only if it asks."""
    kind = progress
    if progress == "auto":
        terminal = sys.stderr.isatty()
        kind = "live" if terminal and not output.as_json else "off" if output.as_json else "lines"
    if kind == "live":
        return [LiveProgress(Console(stderr=True), keep=False)]
    chosen = choose_progress(kind)
    return [] if chosen is None else [chosen]


def _import(address: str) -> object:
    """Return what an address names; whatever the user's module raises is the user's to mend."""
    try:
        return locate(address)
    except TrainableError:
        raise
    except Exception as error:
        msg = f"importing `{address}` failed: {type(error).__name__}: {error}"
        raise TrainableError(msg) from error


def _find_space(trainable: str, address: str | None) -> Space | Mapping[str, object]:
    """Return the space that is named, or the one that lies beside the trainable."""
    module = trainable.rpartition(":")[0]
    addresses = [f"{module}:space", f"{module}:SPACE"] if address is None else [address]
    found: Any = None
    for candidate in addresses:
        try:
            found = _import(candidate)
            break
        except TrainableError:
            if address is not None:
                raise
    if found is None:
        msg = f"`{module}` has no `space`: define it there, or name it: --space module:object"
        raise ConfigurationError(msg)
    if callable(found) and not isinstance(found, Space):
        found = found()
    space: Space | Mapping[str, object] = found
    return space


def _mode(mode: str) -> Literal["min", "max"]:
    from hyperband.search.metric import require_mode  # noqa: PLC0415 - only for its message

    return require_mode(mode)


# --- afterwards ------------------------------------------------------------------------------


def finish(output: Output, result: Result, wall: float) -> None:
    """Show what came out, and end with 1 if trials failed or nothing came out."""
    document: dict[str, Any] = {**result.to_json(), "wall": round(wall, 3)}
    more: list[tuple[str, str]] = []
    if tour.is_demo(result) and result.view.best is not None:
        with output.guarded():
            accuracy = tour.test_accuracy(result)
        document["test_accuracy"] = accuracy
        more.append(("test accuracy", tour.test_sentence(accuracy)))
    output.answer(document, Group("", ending(result, more=more, wall=wall)))
    if result.view.raised or result.view.best is None:
        raise typer.Exit(1)
