"""Hyperband on Ray: trials are chains of checkpointable training segments.

``import hyperband as hb`` is all you need; see ``hb.run`` first. Names are imported on first use, so that importing
the package costs milliseconds and neither Ray nor torch is loaded before it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hyperband._version import __version__

if TYPE_CHECKING:
    from hyperband import errors
    from hyperband.api import check_trainable, load, plan, resume, run
    from hyperband.errors import HyperbandError, RunInterrupted
    from hyperband.executors import Inline, RecordedCurves, Simulated
    from hyperband.manager import Callback
    from hyperband.planning import Plan
    from hyperband.results import Result
    from hyperband.samplers import GridSampler, RandomSampler
    from hyperband.schedulers import FIFO, Hyperband, SuccessiveHalving
    from hyperband.search import Search
    from hyperband.space import Space, choice, loguniform, randint, uniform
    from hyperband.trainable import Context, Trainable

#: Where each public name lives.
_HOMES = {
    "api": ("check_trainable", "load", "plan", "resume", "run"),
    "errors": ("HyperbandError", "RunInterrupted"),
    "executors": ("Inline", "RecordedCurves", "Simulated"),
    "manager": ("Callback",),
    "planning": ("Plan",),
    "results": ("Result",),
    "samplers": ("GridSampler", "RandomSampler"),
    "schedulers": ("FIFO", "Hyperband", "SuccessiveHalving"),
    "search": ("Search",),
    "space": ("Space", "choice", "loguniform", "randint", "uniform"),
    "trainable": ("Context", "Trainable"),
}
_HOME_OF = {name: room for room, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name == "errors":
        return import_module("hyperband.errors")
    room = _HOME_OF.get(name)
    if room is None:
        from hyperband.errors import suggest  # noqa: PLC0415 - only for the message

        msg = f"module 'hyperband' has no attribute {name!r}.{suggest(name, __all__)}"
        raise AttributeError(msg)
    value = getattr(import_module(f"hyperband.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "FIFO",
    "Callback",
    "Context",
    "GridSampler",
    "Hyperband",
    "HyperbandError",
    "Inline",
    "Plan",
    "RandomSampler",
    "RecordedCurves",
    "Result",
    "RunInterrupted",
    "Search",
    "Simulated",
    "Space",
    "SuccessiveHalving",
    "Trainable",
    "__version__",
    "check_trainable",
    "choice",
    "errors",
    "load",
    "loguniform",
    "plan",
    "randint",
    "resume",
    "run",
    "uniform",
]
