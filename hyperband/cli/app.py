"""The commands, put together."""

import functools
from collections.abc import Callable
from typing import Annotated

import typer

from hyperband._version import __version__
from hyperband.cli import look, plans, train

_PROMISE = "Hyperband on Ray: no epoch is trained twice, no decision is lost, and what ran is what was planned."

app = typer.Typer(
    help=_PROMISE,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hyperband {__version__}")
        raise typer.Exit


@app.callback()
def hyperband(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hyperband on Ray: no epoch is trained twice, no decision is lost, and what ran is what was planned."""


class Ended(Exception):  # noqa: N818 - no error by itself
    """Carries past typer what it would turn into an exit code without a word; the cause says what it was."""


def _carried(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def call(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
        except (KeyboardInterrupt, BrokenPipeError) as error:
            raise Ended from error

    return call


for _command in (train.demo, train.run, plans.plan, train.resume, look.ls, look.status, look.show, look.why, look.best):
    app.command()(_carried(_command))
