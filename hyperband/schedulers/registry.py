"""Schedulers by name: for the command line, for ``scheduler="hyperband"`` and for the journal's header."""

import inspect
from collections.abc import Mapping
from typing import Any

from hyperband.errors import ConfigurationError, UnknownNameError, suggest
from hyperband.messages import Json
from hyperband.schedulers.base import Scheduler
from hyperband.schedulers.fifo import FIFO
from hyperband.schedulers.hyperband import Hyperband
from hyperband.schedulers.successive_halving import SuccessiveHalving


def known_schedulers() -> dict[str, type[Any]]:
    """Return the schedulers this package brings, by name."""
    return {cls.name: cls for cls in (Hyperband, SuccessiveHalving, FIFO)}


def build_scheduler(name: str, options: Mapping[str, Any]) -> Scheduler:
    """Return a scheduler from its name and its arguments.

    Args:
        name: E.g. ``"hyperband"``; case and ``-``/``_`` do not matter.
        options: Arguments of its constructor.

    Raises:
        UnknownNameError: No such scheduler, or it has no such argument; the message suggests a near one and
            understands other libraries' words (``max_t``, ``reduction_factor`` ...).
        ConfigurationError: An argument is missing or out of range.
    """
    known = known_schedulers()
    cls = known.get(name.lower().replace("-", "_"))
    if cls is None:
        msg = f"`scheduler` is {name!r}, which is not known.{suggest(name, known)}"
        raise UnknownNameError(msg)
    parameters = inspect.signature(cls).parameters
    for option in options:
        if option not in parameters:
            msg = f"{cls.__name__} has no argument `{option}`.{suggest(option, parameters)}"
            raise UnknownNameError(msg)
    missing = [key for key, p in parameters.items() if p.default is inspect.Parameter.empty and key not in options]
    if missing:
        msg = f"{cls.__name__} needs `{missing[0]}`: give it, e.g. {missing[0]}=81"
        raise ConfigurationError(msg)
    scheduler: Scheduler = cls(**options)
    return scheduler


def resolve_scheduler(scheduler: object, options: Mapping[str, Any] | None = None) -> Scheduler:
    """Return ``scheduler`` itself, or build the one that a string names.

    Args:
        scheduler: An object that follows the ``Scheduler`` protocol, or a name.
        options: Constructor arguments when a name is given.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(scheduler, str):
        return build_scheduler(scheduler, options or {})
    if isinstance(scheduler, type):
        msg = f"`scheduler` is the class {scheduler.__name__}: create it, e.g. {scheduler.__name__}(max_resource=81)"
        raise ConfigurationError(msg)
    if isinstance(scheduler, Scheduler):
        return scheduler
    msg = f"`scheduler` is {scheduler!r}, must be a name ({', '.join(known_schedulers())}) or a scheduler object"
    raise ConfigurationError(msg)


def scheduler_from_json(body: Json) -> Scheduler:
    """Return the scheduler that ``to_json`` described."""
    options = dict(body)
    return build_scheduler(options.pop("name"), options)
