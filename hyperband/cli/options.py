"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ExperimentPath: TypeAlias = Annotated[
    Path, typer.Argument(metavar="PATH", help="Directory of the experiment, or its name below ./runs.")
]
Storage: TypeAlias = Annotated[Path, typer.Option(help="Directory of experiments.")]
Name: TypeAlias = Annotated[str | None, typer.Option(help="Name of the experiment below the storage.")]
Seed: TypeAlias = Annotated[int, typer.Option(help="Decides which configs are tried; 0 or more.")]
MaxConcurrent: TypeAlias = Annotated[int | None, typer.Option(help="Most trials at a time; default: as many as fit.")]
Progress: TypeAlias = Annotated[
    str, typer.Option(help="live, lines, off, or auto: live on a terminal, else lines.", metavar="KIND")
]

SchedulerName: TypeAlias = Annotated[
    str, typer.Option("--scheduler", help="hyperband, successive_halving or fifo.", metavar="NAME")
]
MaxResource: TypeAlias = Annotated[int | None, typer.Option(help="Units the longest trial is trained for.")]
Eta: TypeAlias = Annotated[int | None, typer.Option(help="1/eta of a rung goes up; default 3.")]
MinResource: TypeAlias = Annotated[int | None, typer.Option(help="Units of the smallest first rung; default 1.")]
Sizing: TypeAlias = Annotated[str | None, typer.Option(help="How rungs are rounded: paper, table or ceil.")]
NConfigs: TypeAlias = Annotated[int | None, typer.Option("--n-configs", help="Trials, for schedulers that ask for it.")]
Unit: TypeAlias = Annotated[str, typer.Option(help="What one unit of resource is called, e.g. epoch.")]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
