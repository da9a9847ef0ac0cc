"""Begin an experiment, or take one up again: directory, journal, search, executor - then the loop.

The only difference between a new and a resumed run is where the search comes from: fresh, or the fold of the journal.
"""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hyperband._version import __version__
from hyperband.checkpoints import CheckpointStore
from hyperband.clock import Clock
from hyperband.errors import RunInterrupted, UserError
from hyperband.executors import Executor, Work
from hyperband.journal import Journal, read_records
from hyperband.manager.callbacks import Callback, Observers
from hyperband.manager.experiment import (
    FORMAT,
    Experiment,
    create_directory,
    search_from_header,
    with_unit,
    write_pickle,
)
from hyperband.manager.loop import DRAIN_SECONDS, Manager, Ports
from hyperband.manager.replay import Replayed, replay
from hyperband.messages import Json
from hyperband.samplers import Sampler, sampler_to_json
from hyperband.search import Search


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run, as opposed to what: none of this changes a decision."""

    executor: Executor
    clock: Clock
    callbacks: Sequence[Callback] = ()
    durability: Literal["full", "none"] = "full"
    drain_seconds: float = DRAIN_SECONDS
    handle_signals: bool = True


@dataclass(frozen=True, slots=True)
class Code:
    """The user's side, pickled; the driver does not look inside."""

    trainable: bytes
    data: bytes | None
    identity: Json = field(default_factory=dict)  #: name and source digest of the trainable
    data_identity: Json = field(default_factory=dict)  #: name and source digest of the data, if it is a loader
    script: str = ""  #: name of the trainable's module if that was pickled by value


def make_header(search: Search, code: Code, name: str, unit: str, resources: dict[str, float]) -> Json:
    """Return the record that says what the experiment is; digests and times are added when it is written."""
    return {
        "type": "experiment",
        "format": FORMAT,
        "version": __version__,
        "name": name,
        "plan": with_unit(search.plan, unit).to_json(),
        "scheduler": search.scheduler.to_json(),
        "space": search.space.to_json(),
        "sampler": sampler_to_json(search.sampler),
        "metric": search.metric,
        "mode": search.mode,
        "seed": search.seed,
        "max_losses": search.max_losses,
        "unit": unit,
        "resources": resources,
        "trainable": code.identity,
    }


def begin(experiment: Experiment, search: Search, code: Code, header: Json, settings: Settings) -> bool:
    """Create an experiment and run it.

    Args:
        experiment: Where; must not exist.
        search: Fresh.
        code: What the workers run.
        header: What ``make_header`` gave.
        settings: How to run.

    Returns:
        True: every rung was decided.

    Raises:
        ExperimentExistsError: There is something at this path.
        RunInterrupted: It was stopped, and can be resumed.
    """
    create_directory(experiment.path, settings.clock)
    with Journal.create(experiment.journal, settings.clock, durability=settings.durability) as journal:
        # The lock is ours from here on: a second driver that begins the same experiment can write nothing any more.
        digest = write_pickle(experiment.trainable, code.trainable)
        data = None
        if code.data is not None:
            data = {**code.data_identity, "digest": write_pickle(experiment.data, code.data)}
        header = {
            **header,
            "trainable": {**header["trainable"], "digest": digest},
            "data": data,
            "executor": settings.executor.name,
            "durability": settings.durability,
            "created": round(settings.clock.wall(), 3),
        }
        journal.append(header)
        journal.commit()
        observers = Observers(settings.callbacks)
        observers.on_start(header)
        try:
            return _run(experiment, search, code, header, settings, journal, observers, Replayed())
        except UserError:
            if not search.trials:  # refused before the first trial: the directory holds nothing worth keeping
                journal.close()
                shutil.rmtree(experiment.path, ignore_errors=True)
            raise


def take_up(
    experiment: Experiment,
    settings: Settings,
    *,
    sampler: Sampler | None = None,
    code: Code | None = None,
    resources: dict[str, float] | None = None,
) -> bool:
    """Resume an experiment: replay its journal, give the dead driver's leases back, and go on.

    Args:
        experiment: Where it is.
        settings: How to run from now on.
        sampler: The sampler, if it was not one of this package.
        code: Trainable and data, if they are to be used instead of the stored ones.
        resources: What one trial reserves, if it is to be another amount than before.

    Returns:
        True: every rung was decided. A finished experiment returns at once, and nothing is written.

    Raises:
        ExperimentNotFoundError: There is none.
        LockedError: Another driver is at it.
        JournalDamagedError: A line is not what was written.
        ReplayError: The journal's decisions do not come out again.
        RunInterrupted: It was stopped again.
    """
    header = experiment.header()
    if any(record["type"] == "finish" for record in read_records(experiment.journal)):
        return True
    search = search_from_header(header, sampler)
    code = code or stored_code(experiment, header)
    header = {**header, "resources": resources or header["resources"]}
    with Journal.open(experiment.journal, settings.clock, durability=settings.durability) as journal:
        observers = Observers(settings.callbacks)
        observers.on_start(header)
        records = list(journal.records())
        replayed = replay(search, records)
        for record in records:
            observers.on_record(record)
        del records
        return _run(experiment, search, code, header, settings, journal, observers, replayed)


def stored_code(experiment: Experiment, header: Json) -> Code:
    """Return the pickled code of an experiment, verified against the journal and not unpickled."""
    trainable = experiment.read_pickle(experiment.trainable, header["trainable"]["digest"])
    data = header["data"] and experiment.read_pickle(experiment.data, header["data"]["digest"])
    return Code(trainable, data, header["trainable"])


def _run(
    experiment: Experiment,
    search: Search,
    code: Code,
    header: Json,
    settings: Settings,
    journal: Journal,
    observers: Observers,
    replayed: Replayed,
) -> bool:
    store = CheckpointStore(experiment.checkpoints, settings.durability)
    work = Work(
        code.trainable,
        code.data,
        str(experiment.checkpoints.resolve()),
        header["metric"],
        header["seed"],
        settings.durability,
        code.script,
        header["trainable"].get("source") or "",
        header["resources"],
    )
    finished = False
    try:
        store.remove_orphans(replayed.checkpoints.values())
        workers = settings.executor.start(work)
        ports = Ports(
            search,
            settings.executor,
            journal,
            store.delete,
            settings.clock,
            observers.on_record,
            settings.drain_seconds,
            settings.handle_signals,
        )
        manager = Manager(ports, workers)
        manager.recover(replayed)
        finished = manager.run()
        if finished:
            settings.executor.close()
            store.remove_orphans([] if search.best is None else filter(None, [search.best.checkpoint]))
    except KeyboardInterrupt as error:
        raise RunInterrupted(str(experiment.path)) from error
    finally:
        with contextlib.suppress(Exception):
            settings.executor.close()
        observers.on_end(finished=finished)
    if not finished:
        raise RunInterrupted(str(experiment.path), 143 if manager.signal == "SIGTERM" else 130)
    return True
