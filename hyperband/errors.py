"""Every error this package raises on purpose, typed by whose fault it is.

Three families, because the reader of a traceback first asks "who has to act?":

* ``UserError`` - the call, the trainable or the experiment directory that was given; the caller acts.
* ``InfrastructureError`` - a worker, a node, a disk or another driver; the operator acts (or a retry does).
* ``InternalError`` - a broken promise of this package; please report it, the message carries the story.

Every class carries the ``exit_code`` that the command line ends with.
All errors hold their message in ``args[0]`` alone, so they survive pickling.
"""

import difflib
import functools
import inspect
import shlex
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])


class HyperbandError(Exception):
    """Base of everything raised on purpose by this package."""

    exit_code: ClassVar[int] = 1


# --- the caller has to act -------------------------------------------------------------------


class UserError(HyperbandError):
    """The input was wrong; nothing has been changed or lost."""

    exit_code = 2


class ConfigurationError(UserError, ValueError):
    """An argument is outside its legal range, or two arguments contradict each other."""


class SpaceError(ConfigurationError):
    """A search space, or a config checked against it, is not valid."""


class UnknownNameError(ConfigurationError):
    """A name (scheduler, sampler, metric, option ...) is not known; the message suggests a near one."""


class TrainableError(UserError, TypeError):
    """The trainable has none of the three shapes, or broke the contract of its shape."""


class MetricError(UserError, ValueError):
    """The metric is missing from a report or is not a number; the message lists the keys seen."""


class StateError(UserError, TypeError):
    """The state of a trial cannot be saved or restored; the message names the attribute."""


class ExperimentExistsError(UserError, FileExistsError):
    """An experiment with this name exists already; it was left untouched."""


class ExperimentNotFoundError(UserError, FileNotFoundError):
    """There is no experiment at this path."""


class ChangedExperimentError(UserError):
    """A resume was asked for with another space, plan, metric or seed than the journal records."""


class NoResultError(UserError, LookupError):
    """A result was asked for that does not exist (no finite value yet, or no such trial)."""


class InfeasibleResourcesError(UserError):
    """One trial asks for more than any node of the cluster has."""


# --- the operator has to act -----------------------------------------------------------------


class InfrastructureError(HyperbandError):
    """A worker, a node, a disk or another process got in the way."""


class LockedError(InfrastructureError):
    """Another driver is writing this experiment; the message names its host and process."""

    exit_code = 5


class StorageError(InfrastructureError, OSError):
    """The storage refused a read or a write; the experiment is paused and can be resumed."""

    exit_code = 3


class WorkersLostError(InfrastructureError):
    """No worker could be kept alive; the experiment can be resumed."""

    exit_code = 3


class DamagedError(InfrastructureError):
    """Bytes on disk are not the bytes that were committed. Nothing damaged is ever used."""

    exit_code = 4


class JournalDamagedError(DamagedError):
    """A journal line fails its check; the message gives file, line and byte offset."""


class CheckpointDamagedError(DamagedError):
    """A checkpoint's payload or manifest does not match the digest in the journal."""


class FormatVersionError(DamagedError):
    """The experiment was written by a newer format than this version can read."""


class RunInterrupted(KeyboardInterrupt, SystemExit):
    """A run was stopped by Ctrl-C or SIGTERM and left in a state from which it can be resumed.

    A script that does not catch it ends with the usual exit code and without a traceback; the line that tells how to
    continue has been printed by then.

    Attributes:
        path: The experiment.
        command: The line for a shell that continues it.
        exit_code: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, path: str, exit_code: int = 130) -> None:
        self.command = f"hyperband resume {shlex.quote(path)}"
        super().__init__(f"interrupted; continue with: {self.command}")
        self.path = path
        self.exit_code = exit_code
        self.code = exit_code

    def __reduce__(self) -> tuple[type["RunInterrupted"], tuple[str, int]]:
        return type(self), (self.path, self.exit_code)


# --- we have to act --------------------------------------------------------------------------


class InternalError(HyperbandError):
    """A promise of this package does not hold; please report the message as it is."""


class InvariantError(InternalError):
    """An invariant of the search is violated (see ``Search.check_invariants``)."""


class LivenessError(InternalError):
    """Nothing is in flight, nothing is runnable, and the search is not finished."""


class ReplayError(InternalError):
    """Replaying the journal produced another decision than the one recorded on the named line."""


# --- helpers for messages --------------------------------------------------------------------

#: What other libraries call our arguments (left: theirs, right: ours). Used only in messages.
FOREIGN_WORDS: dict[str, str] = {
    "max_t": "max_resource",
    "max_iter": "max_resource",
    "max_epochs": "max_resource",
    "max_budget": "max_resource",
    "max_resources": "max_resource",
    "max_fidelity": "max_resource",
    "R": "max_resource",
    "grace_period": "min_resource",
    "min_t": "min_resource",
    "min_iter": "min_resource",
    "min_budget": "min_resource",
    "min_resources": "min_resource",
    "min_fidelity": "min_resource",
    "r": "min_resource",
    "reduction_factor": "eta",
    "factor": "eta",
    "aggressiveness": "eta",
    "divisor": "eta",
    "num_samples": "n_configs",
    "n_trials": "n_configs",
    "max_trials": "n_configs",
    "max_evals": "n_configs",
    "n_iter": "n_configs",
    "random_state": "seed",
    "random_seed": "seed",
    "rstate": "seed",
    "direction": "mode",
    "objective": "metric",
    "scoring": "metric",
    "monitor": "metric",
    "n_jobs": "max_concurrent",
    "n_workers": "max_concurrent",
    "max_concurrent_trials": "max_concurrent",
    "resources_per_trial": "resources",
    "local_dir": "storage",
    "storage_path": "storage",
    "study_name": "name",
    "algo": "sampler",
    "search_alg": "sampler",
    "pruner": "scheduler",
}


#: Of these words, the ones that only schedulers take.
SCHEDULER_WORDS = frozenset({"n_configs", "min_resource"})


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the near known one, or how this package calls that idea.

    Args:
        name: What the caller wrote.
        known: The legal names in this place.

    Returns:
        A sentence that begins with a space (so it can be appended), never empty.
    """
    names = sorted(known)
    ours = FOREIGN_WORDS.get(name)
    if ours in names:
        return f" Here it is called `{ours}`."
    if ours is None and name in SCHEDULER_WORDS:
        return f" It belongs to the scheduler, e.g. SuccessiveHalving({name}=...)."
    if ours in SCHEDULER_WORDS:
        return f" Here that is called `{ours}` and belongs to the scheduler, e.g. SuccessiveHalving({ours}=...)."
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean `{near[0]}`?"
    return f" Known names: {', '.join(f'`{n}`' for n in names)}."


def helpful_arguments(function: _F) -> _F:
    """Decorate a function (or an ``__init__``) so that an unknown keyword is answered with the right one.

    Args:
        function: Anything without ``**kwargs``.

    Returns:
        The function; unknown keywords raise ``UnknownNameError`` with a suggestion instead of a bare ``TypeError``.
    """
    known = [name for name in inspect.signature(function).parameters if name != "self"]
    shown = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def checked(*args: object, **kwargs: object) -> object:
        for name in kwargs:
            if name not in known:
                msg = f"{shown} has no argument `{name}`.{suggest(name, known)}"
                raise UnknownNameError(msg)
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]
