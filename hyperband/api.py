"""The functions people call: run, plan, resume, load, check_trainable. Thin: they check, pickle and hand on."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import cloudpickle

from hyperband.check import check_trainable
from hyperband.checkpoints import encode
from hyperband.errors import (
    ChangedExperimentError,
    ConfigurationError,
    RunInterrupted,
    StateError,
    TrainableError,
    helpful_arguments,
)
from hyperband.executors import Executor, require_resources_mapping, resolve_executor
from hyperband.manager import (
    Callback,
    Code,
    Experiment,
    Settings,
    begin,
    check_name,
    differences,
    digest_of,
    make_header,
    take_up,
    with_unit,
)
from hyperband.planning import Plan
from hyperband.progress import choose_progress
from hyperband.results import Result, load_result
from hyperband.results.text import program
from hyperband.samplers import Sampler
from hyperband.schedulers import Scheduler, resolve_scheduler
from hyperband.search import Search
from hyperband.space import Space
from hyperband.trainable import adapt, describe

__all__ = ["check_trainable", "load", "plan", "resume", "run"]

ProgressKind = Literal["auto", "live", "lines", "off"]


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds since the machine started, or so."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()


@helpful_arguments
def run(  # noqa: PLR0913 - the package's front door
    trainable: object,
    space: Space | Mapping[str, object],
    *,
    metric: str,
    mode: Literal["min", "max"],
    scheduler: Scheduler | str = "hyperband",
    sampler: Sampler | str = "random",
    max_resource: int | None = None,
    eta: int | None = None,
    data: Any = None,
    resources: Mapping[str, float] | None = None,
    max_concurrent: int | None = None,
    executor: Executor | str = "ray",
    worker_output: bool = False,
    storage: str | os.PathLike[str] = "runs",
    name: str | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    resume: bool | Literal["auto"] = False,
    durability: Literal["full", "none"] = "full",
    unit: str = "unit",
    progress: ProgressKind = "auto",
    handle_signals: bool = True,
) -> Result:
    """Search the space for the config with the best metric, and return what was found.

    Args:
        trainable: ``train(ctx)``, ``train(config, state, resource)`` or a subclass of ``Trainable``; None with an
            executor that replays curves.
        space: Names to domains, e.g. ``{"lr": loguniform(1e-5, 1e-1)}``.
        metric: Key of the reported metrics that ranks trials.
        mode: ``"min"`` or ``"max"``.
        scheduler: A scheduler such as ``Hyperband(max_resource=81, eta=3)``, or a name; then give ``max_resource``.
        sampler: ``"random"``, ``"grid"`` or a sampler.
        max_resource: For a scheduler given by name: units the longest trial is trained for.
        eta: For a scheduler given by name: 1/eta of a rung goes up.
        data: Anything, or a function without arguments that loads it in a worker; loaded once, shared through the
            object store as ``ctx.data``.
        resources: What one trial reserves, ``{"cpu": 1, "gpu": 0.25}``; one CPU by default.
        max_concurrent: Most trials at a time; as many as fit by default.
        executor: ``"ray"``, ``"inline"`` (this process, for debugging) or an executor.
        worker_output: Show here what the trainable prints in its Ray workers.
        storage: Directory of experiments.
        name: Name of this one below ``storage``; by default the trainable's name and the time.
        seed: The configs depend on it and on nothing else; 0 or more.
        callbacks: Observers of the journal's records.
        resume: True: continue the experiment of this name, whose space, plan, sampler, metric, seed, trainable
            and data must be the same; ``"auto"``: continue it if it exists. ``resources`` may change.
        durability: ``"full"``: what is committed survives a power cut; ``"none"``: it survives a killed process.
        unit: What one unit of resource is called, for people.
        progress: ``"live"`` table, ``"lines"``, ``"off"``; ``"auto"``: live on a terminal, else off.
        handle_signals: Let the first Ctrl-C or SIGTERM stop the run in good order.

    Returns:
        The result, also when some trials failed; ``result.best`` raises if all did.

    Raises:
        ConfigurationError: An argument is wrong; nothing was started.
        ExperimentExistsError: There is an experiment of this name, and ``resume`` is False; it is untouched.
        ChangedExperimentError: ``resume`` is given and something differs; the message says what.
        InfeasibleResourcesError: No node can run even one trial.
        RunInterrupted: Ctrl-C or SIGTERM; the message tells how to continue.
    """
    chosen = _scheduler(scheduler, max_resource, eta)
    search = Search(space, chosen, sampler, metric=metric, mode=mode, seed=seed)
    wanted = require_resources_mapping(None if resources is None else dict(resources))
    engine = resolve_executor(executor, max_concurrent=max_concurrent, worker_output=worker_output)
    if trainable is not None or engine.needs_trainable:
        adapt(trainable)
    if resume not in (True, False, "auto"):
        msg = f"`resume` is {resume!r}, must be True, False or 'auto'"
        raise ConfigurationError(msg)
    if resume is True and name is None:
        msg = "`resume=True` needs the `name` of the experiment to continue"
        raise ConfigurationError(msg)
    if durability not in ("full", "none"):
        msg = f"`durability` is {durability!r}, must be 'full' or 'none'"
        raise ConfigurationError(msg)
    identity = describe(trainable) if trainable is not None else {"name": "curve", "source": None}
    watchers = [*callbacks, *_progress(progress)]
    clock = SystemClock()
    label = _free_name(Path(storage), identity, clock) if name is None else check_name(name)
    experiment = Experiment(Path(storage) / label)
    source = describe(data) if callable(data) else {}
    pickled = _pickled(trainable, "trainable")
    code = Code(pickled, _pickled_data(data), identity, source, _script_name(trainable))
    header = make_header(search, code, label, unit, wanted)
    settings = Settings(engine, clock, watchers, durability, handle_signals=handle_signals)
    with _resume_line():
        if resume and (resume is True or experiment.begun()):
            digest = None if code.data is None else {**source, "digest": digest_of(code.data)}
            _require_same(experiment, {**header, "data": digest})
            take_up(experiment, settings, sampler=search.sampler, resources=wanted)
        else:
            begin(experiment, search, code, header, settings)
    return load_result(experiment.path)


@helpful_arguments
def resume(  # noqa: PLR0913 - how to run is a matter of its own
    path: str | os.PathLike[str],
    *,
    trainable: object = None,
    data: Any = None,
    sampler: Sampler | None = None,
    executor: Executor | str | None = None,
    max_concurrent: int | None = None,
    worker_output: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: ProgressKind = "auto",
    handle_signals: bool = True,
) -> Result:
    """Continue an experiment that was interrupted, killed or paused; nothing about it may change.

    Space, plan, seed and code come from the experiment itself. Segments that were in flight are trained again from
    their last checkpoint; everything committed counts.

    Args:
        path: The experiment's directory.
        trainable: The trainable, to be used instead of the stored one (after moving code, or to mend a bug).
        data: The data or its loader, likewise.
        sampler: The sampler, needed only if it was an object of your own.
        executor: Where to run; by default where it ran before.
        max_concurrent: Most trials at a time; this may change.
        worker_output: As in ``run``.
        callbacks: Observers of the journal's records; earlier records are shown to them first.
        progress: As in ``run``.
        handle_signals: As in ``run``.

    Returns:
        The result. A finished experiment is only read.

    Raises:
        ExperimentNotFoundError: There is no experiment at ``path``.
        LockedError: Another driver is writing it; the message names it.
        DamagedError: Journal or stored code are not what was written.
        ReplayError: The recorded decisions do not come out again.
        RunInterrupted: It was interrupted again.
    """
    experiment = Experiment(Path(path))
    header = experiment.header()
    wanted = executor or header["executor"]
    if wanted == "simulated":
        msg = f"`{path}` was simulated; hand its executor over again, e.g. executor=hb.Simulated(workers=4, curve=...)"
        raise ConfigurationError(msg)
    engine = resolve_executor(wanted, max_concurrent=max_concurrent, worker_output=worker_output)
    code = None
    if trainable is not None:
        adapt(trainable)
        pickled = _pickled_data(data)
        if data is None and header["data"]:
            pickled = experiment.read_pickle(experiment.data, header["data"]["digest"])
        code = Code(_pickled(trainable, "trainable"), pickled, describe(trainable), {}, _script_name(trainable))
    elif data is not None:
        stored = experiment.read_pickle(experiment.trainable, header["trainable"]["digest"])
        code = Code(stored, _pickled_data(data), header["trainable"])
    watchers = [*callbacks, *_progress(progress)]
    settings = Settings(engine, SystemClock(), watchers, header["durability"], handle_signals=handle_signals)
    with _resume_line():
        take_up(experiment, settings, sampler=sampler, code=code)
    return load_result(experiment.path)


@contextlib.contextmanager
def _resume_line() -> Iterator[None]:
    """Print how to go on when a run is interrupted: the exception itself ends a script without a word."""
    try:
        yield
    except RunInterrupted as error:
        command = f"{program()} resume {shlex.quote(error.path)}"
        print(f"\nInterrupted; nothing that was committed is lost. Go on with:\n\n  {command}\n", file=sys.stderr)  # noqa: T201
        raise


def load(path: str | os.PathLike[str]) -> Result:
    """Read the results of an experiment, running or finished. Runs no user code and writes nothing.

    Raises:
        ExperimentNotFoundError: There is no experiment at ``path``.
        JournalDamagedError: Its journal is not what was written.
    """
    return load_result(Path(path))


@helpful_arguments
def plan(
    scheduler: Scheduler | str = "hyperband",
    *,
    max_resource: int | None = None,
    eta: int | None = None,
    space: Space | Mapping[str, object] | None = None,
    sampler: Sampler | str = "random",
    unit: str = "unit",
) -> Plan:
    """Return what ``run`` would do with these arguments: brackets, rungs, segments, units. Starts nothing.

    Args:
        scheduler: As in ``run``.
        max_resource: As in ``run``.
        eta: As in ``run``.
        space: With a sampler that can run out (``"grid"``): the space, so that the plan is cut to its size.
        sampler: As in ``run``.
        unit: What one unit of resource is called.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    chosen = _scheduler(scheduler, max_resource, eta)
    if space is None:
        return with_unit(chosen.plan(), unit)
    return with_unit(Search(space, chosen, sampler, metric="metric", mode="min").plan, unit)


def _scheduler(scheduler: Scheduler | str, max_resource: int | None, eta: int | None) -> Scheduler:
    options = {key: value for key, value in (("max_resource", max_resource), ("eta", eta)) if value is not None}
    if options and not isinstance(scheduler, str):
        key = next(iter(options))
        msg = (
            f"`{key}` is {options[key]!r}, but `scheduler` is an object that has its own; give it there: {scheduler!r}"
        )
        raise ConfigurationError(msg)
    return resolve_scheduler(scheduler, options)


def _free_name(storage: Path, identity: Mapping[str, str | None], clock: SystemClock) -> str:
    stem = _default_name(identity, clock)
    number = 1
    while (storage / (label := stem if number == 1 else f"{stem}-{number}")).exists():
        number += 1
    return label


def _default_name(identity: Mapping[str, str | None], clock: SystemClock) -> str:
    stem = (identity["name"] or "run").rpartition(":")[2].rpartition(".")[2]
    safe = "".join(c for c in stem if c.isascii() and (c.isalnum() or c in "_-")) or "run"
    moment = datetime.fromtimestamp(clock.wall(), UTC)
    return f"{safe.lstrip('_-') or 'run'}-{moment:%Y%m%d-%H%M%S}"


def _progress(kind: ProgressKind) -> list[Callback]:
    chosen = choose_progress(kind)
    return [] if chosen is None else [chosen]


def _require_same(experiment: Experiment, header: dict[str, Any]) -> None:
    changes = differences(experiment.header(), header)
    if changes:
        listing = "\n  ".join(changes)
        msg = (
            f"`{experiment.path}` was begun with other arguments (recorded -> now):\n  {listing}\n"
            "A resume changes nothing: give the same arguments, use hb.resume(path) (with trainable= or data= to put "
            "others in their place), or choose another name"
        )
        raise ChangedExperimentError(msg)


def _pickled(obj: object, what: str) -> bytes:
    """Pickle user code; a module that is a single script travels by value, so that a resume needs no import path."""
    module = _script_of(obj)
    if module is not None:
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(obj))
    except Exception as error:
        msg = f"the {what} cannot be pickled for the workers: {_culprit(what, obj, error)}"
        raise TrainableError(msg) from error
    finally:
        if module is not None:
            cloudpickle.unregister_pickle_by_value(module)


def _culprit(what: str, obj: object, error: Exception) -> str:
    """Return which part of ``obj`` cannot be pickled; the codec of checkpoints knows how to look."""
    try:
        encode(what, obj)
    except StateError as found:
        return str(found)
    return f"{error}; define it in a module and keep open files, locks and connections out"


def _script_of(obj: object) -> ModuleType | None:
    """Return the module of ``obj`` if it is a top-level file outside of the installed packages."""
    name = getattr(obj, "__module__", None)
    module = sys.modules.get(name) if isinstance(name, str) else None
    file = getattr(module, "__file__", None)
    if module is None or file is None or module.__name__ == "__main__" or "." in module.__name__:
        return None
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return None if installed or Path(file).is_relative_to(sys.base_prefix) else module


def _script_name(obj: object) -> str:
    module = _script_of(obj)
    return "" if module is None else module.__name__


def _pickled_data(data: Any) -> bytes | None:
    return None if data is None else _pickled(data, "data")
