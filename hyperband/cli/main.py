"""The command ``hyperband``: parse, call, and turn every ending into an exit code.

Exit codes: 0 done; 1 done, but trials failed or there is no result; 2 the call was wrong; 3 storage or workers; 4
damaged; 5 another driver is at it; 130 and 143 interrupted by Ctrl-C or SIGTERM (then the run can be resumed).
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence

from hyperband.cli.app import Ended, app
from hyperband.cli.output import Output
from hyperband.cli.usage import explain
from hyperband.errors import HyperbandError, RunInterrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after ``hyperband``; by default those of this process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(as_json="--json" in words)
    try:
        code = app(words or ["--help"], prog_name="hyperband", standalone_mode=False)
    except Ended as end:
        return _report(output, end.__cause__ or end)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a program must get its document whatever happens
        return _report(output, error)
    return int(code or 0)


def _report(output: Output, error: BaseException) -> int:
    """Say what went wrong and return the exit code."""
    match error:
        case KeyboardInterrupt():
            return _interrupted(output, error)
        case HyperbandError():
            output.error(error)
            return error.exit_code
        case BrokenPipeError():
            return _broken_pipe()
        case Exception() if hasattr(error, "format_message"):  # typer's usage errors
            output.error(error, explain(error))
            return 2
        case _:
            return _unexpected(output, error)


def _interrupted(output: Output, error: KeyboardInterrupt) -> int:
    """Tell programs how to go on; people were told by the run itself."""
    if not isinstance(error, RunInterrupted):
        output.error(error, "interrupted")
        return 130
    if output.as_json:
        output.error(error, path=error.path, command=error.command)
    return error.exit_code


def _broken_pipe() -> int:
    """The reader went away (`hyperband ls | head`): keep Python from complaining when it flushes at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _unexpected(output: Output, error: BaseException) -> int:
    """User code at import, or a mistake of this package: show where it comes from."""
    if output.as_json:
        output.error(error)
    else:
        traceback.print_exception(error)
    return 1
