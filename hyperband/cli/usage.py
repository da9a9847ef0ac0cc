"""Mistakes on the command line, answered with the word that was probably meant."""

from typing import Any

from hyperband.errors import suggest


def explain(error: Any) -> str:
    """Return what is wrong with the command line, with a near name where one is known.

    Args:
        error: A usage error of typer; it carries the context in which it happened.
    """
    message = str(error.format_message()).rstrip()
    context = getattr(error, "ctx", None)
    option = getattr(error, "option_name", None)
    if option is not None and context is not None and hasattr(error, "possibilities"):
        known = [name.lstrip("-") for param in context.command.params for name in param.opts]
        hint = suggest(str(option).lstrip("-").replace("-", "_"), [name.replace("-", "_") for name in known])
        message = f"there is no option {option}.{_dashed(hint)}"
    elif message.startswith("No such command") and context is not None and "Did you mean" not in message:
        message += suggest(message.split("'")[1], context.command.commands)
    if context is not None:
        message += f" (see `{context.command_path} --help`)"
    return message


def _dashed(hint: str) -> str:
    """Return a hint about names with underscores as one about options."""
    words = hint.split("`")
    words[1::2] = [f"--{word.replace('_', '-')}" for word in words[1::2]]
    return "".join(words)
