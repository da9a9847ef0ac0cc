"""Trains one segment inside a worker: restore, train, save, commit the checkpoint, say what happened.

This is the worker's side of every executor that really trains, and the only place besides an explicit
``result.best.load`` where anything is unpickled. What it returns is data: events and plain JSON, never exceptions or
objects of the user's code.
"""

import copy
import functools
import inspect
import json
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cloudpickle

from hyperband import randomness
from hyperband.checkpoints import PACK_BYTES, SMALL, CheckpointStore, Encoded
from hyperband.errors import CheckpointDamagedError, HyperbandError, MetricError, StateError, StorageError
from hyperband.executors.base import Returned, Work
from hyperband.executors.isolation import isolated
from hyperband.executors.port import Port
from hyperband.executors.threads import set_threads
from hyperband.messages import (
    Checkpoint,
    Event,
    Failed,
    FailureKind,
    Job,
    Json,
    LossCause,
    Lost,
    Reported,
    number_to_json,
    to_json,
)
from hyperband.samplers import trial_seed
from hyperband.search import read_metric
from hyperband.trainable import Context, adapt

#: Bytes of encoded state a worker keeps in memory, so that a trial promoted here need not read its checkpoint back.
WARM_BYTES: Final = 64 * 2**20
#: Living objects of class trainables a worker keeps. More would hold several models on one device.
WARM_OBJECTS: Final = 1
#: Reports of one segment that travel to the journal; of more, every n-th is taken.
CURVE_LIMIT: Final = 500
#: Characters of a traceback that travel to the journal.
TRACEBACK_LIMIT: Final = 8000


@dataclass(slots=True)
class _Trained:
    """A segment that was trained and is not durable yet."""

    job: Job
    metrics: dict[str, float]
    resource: int
    done: bool
    entries: Mapping[str, Encoded]
    living: object | None
    info: Json

    @property
    def size(self) -> int:
        """Bytes of the encoded state."""
        return sum(len(entry.data) for entry in self.entries.values())

    def reported(self, checkpoint: Checkpoint) -> Reported:
        """The event, now that the state is durable."""
        job = self.job
        return Reported(job.trial, job.segment, job.attempt, self.metrics, checkpoint, self.resource, self.done)

    def lost(self, message: str) -> Lost:
        """The event if it cannot be made durable."""
        return Lost(self.job.trial, self.job.segment, self.job.attempt, LossCause.STORAGE, message)


class SegmentRunner:
    """One worker's life: built once, then one call per segment, of any trial."""

    def __init__(self, work: Work, data: Any = None) -> None:
        """Unpickle the trainable and take the data.

        Args:
            work: What to run.
            data: The loaded data, already shared by the executor.
        """
        self._work = work
        self._adapter = adapt(cloudpickle.loads(work.trainable))
        self._store = CheckpointStore(Path(work.checkpoints), work.durability)
        self._data = data
        self._encoded: OrderedDict[Checkpoint, Mapping[str, Encoded]] = OrderedDict()
        self._encoded_bytes = 0
        self._living: OrderedDict[Checkpoint, object] = OrderedDict()

    def run(self, job: Job) -> Returned:
        """Train one segment."""
        return self.run_batch([job])[0]

    def run_batch(self, jobs: Sequence[Job]) -> list[Returned]:
        """Train the jobs' segments one by one and commit their checkpoints; whatever goes wrong is an event.

        Small checkpoints are committed together, in one file, so that short segments share its cost.

        Returns:
            What became of each job, in order; everything reported is durable.
        """
        done: list[Returned] = []
        staged: list[_Trained] = []
        for job in jobs:
            result = self._attempt(job)
            if isinstance(result, Returned):
                done.append(result)
                continue
            if staged:
                staged[-1].living = None  # one living object is enough, and it had better be the newest
            staged.append(result)
            if result.size > SMALL or sum(trained.size for trained in staged) > PACK_BYTES:
                done += self._commit(staged)
                staged = []
        done += self._commit(staged)
        order = {(job.trial, job.attempt): place for place, job in enumerate(jobs)}
        return sorted(done, key=lambda returned: order[returned.event.trial, returned.event.attempt])

    def _attempt(self, job: Job) -> "_Trained | Returned":
        began = time.perf_counter()
        info: Json = {}
        event: Event
        try:
            with isolated():
                trained = self._train(job, info)
        except CheckpointDamagedError as error:
            event = Lost(job.trial, job.segment, job.attempt, LossCause.CHECKPOINT, str(error))
        except StorageError as error:
            event = Lost(job.trial, job.segment, job.attempt, LossCause.STORAGE, str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a trainable raises is its own failure, SystemExit too
            event = _failed(job, error)
            info["traceback"] = _traceback()
        else:
            info["seconds"] = round(time.perf_counter() - began, 6)
            return trained
        info["seconds"] = round(time.perf_counter() - began, 6)
        return Returned(event, info)

    def _train(self, job: Job, info: Json) -> "_Trained":
        saved, warm = self._saved(job.checkpoint)
        info["warm"] = warm
        port = Port(saved)
        seed = trial_seed(self._work.seed, job.trial)
        config = copy.deepcopy(job.config)
        ctx = Context(job.trial, config, job.segment, port=port, seed=seed, data=self._data)
        randomness.seed_everything(seed)
        randomness.seed_torch_when_imported(seed)
        living = self._living.pop(job.checkpoint, None) if job.checkpoint else None
        done, keep = self._adapter.train(ctx, living)
        if self._work.metric:  # a check of the trainable alone ranks nothing
            read_metric(ctx.reported, self._work.metric)
        if len(ctx.curve) > 1:
            info["curve"] = _columns(ctx.curve[:: -(-len(ctx.curve) // CURVE_LIMIT)])
        return _Trained(job, ctx.reported, ctx.resource, done, port.entries, keep, info)

    def _commit(self, staged: Sequence["_Trained"]) -> list[Returned]:
        """Make the states durable, the small ones in one file; only then is anything reported."""
        small = [trained for trained in staged if trained.size <= SMALL]
        groups = [small] if small else []
        groups += [[trained] for trained in staged if trained.size > SMALL]
        returned = []
        for group in groups:
            items = [(t.job.trial, t.resource, t.job.attempt, t.entries) for t in group]
            try:
                checkpoints = self._store.commit_pack(items, code=self._work.code)
            except StorageError as error:
                returned += [Returned(t.lost(str(error)), t.info) for t in group]
                continue
            except Exception as error:  # noqa: BLE001 - a state that no manifest can describe is its own trial's fault
                if len(group) > 1:
                    returned += [one for trained in group for one in self._commit([trained])]
                else:
                    returned.append(Returned(_failed(group[0].job, StateError(f"the state: {error!r}")), group[0].info))
                continue
            for trained, checkpoint in zip(group, checkpoints, strict=True):
                self._remember(checkpoint, trained.entries, trained.living)
                returned.append(Returned(trained.reported(checkpoint), trained.info))
        return returned

    def _saved(self, checkpoint: Checkpoint | None) -> tuple[Mapping[str, Encoded] | None, bool]:
        """Return the entries to continue from, and whether they were still in memory."""
        if checkpoint is None:
            return None, False
        if checkpoint in self._encoded:
            return self._encoded[checkpoint], True
        return self._store.load(checkpoint).entries, False

    def _remember(self, checkpoint: Checkpoint, entries: Mapping[str, Encoded], living: object | None) -> None:
        """Keep the newest states in memory; they are a cache, the directory is the truth."""
        self._encoded[checkpoint] = entries
        self._encoded_bytes += checkpoint.size
        while self._encoded_bytes > WARM_BYTES and self._encoded:
            forgotten, _ = self._encoded.popitem(last=False)
            self._encoded_bytes -= forgotten.size
        if living is not None:
            self._living[checkpoint] = living
            while len(self._living) > WARM_OBJECTS:
                self._living.popitem(last=False)


def load_data(source: bytes | None) -> Any:
    """Unpickle what ``run(data=...)`` was given and, if it is a function, call it. Runs in a worker, once."""
    if source is None:
        return None
    data = cloudpickle.loads(source)
    return data() if inspect.isroutine(data) or isinstance(data, functools.partial) else data


def _failed(job: Job, error: BaseException) -> Failed:
    kinds = {MetricError: FailureKind.METRIC, StateError: FailureKind.STATE}
    kind = next((kind for cls, kind in kinds.items() if isinstance(error, cls)), FailureKind.EXCEPTION)
    try:
        summary = str(error) if isinstance(error, HyperbandError) else "".join(traceback.format_exception_only(error))
    except Exception:  # noqa: BLE001 - an exception that cannot be printed is still one
        summary = type(error).__name__
    return Failed(job.trial, job.segment, job.attempt, kind, _tail(summary.strip(), 1000))


def _traceback() -> str:
    try:
        return _tail(traceback.format_exc())
    except Exception:  # noqa: BLE001 - see _failed
        return "(the traceback cannot be printed)"


def _tail(text: str, limit: int = TRACEBACK_LIMIT) -> str:
    return text if len(text) <= limit else "... " + text[-limit:]


def _columns(curve: list[tuple[int, dict[str, float]]]) -> Json:
    """Return the reports of a segment as columns; a metric that was left out of a report is null there."""
    names = list(dict.fromkeys(name for _, metrics in curve for name in metrics))
    columns: Json = {"resource": [resource for resource, _ in curve]}
    for name in names:
        columns[name] = [number_to_json(metrics[name]) if name in metrics else None for _, metrics in curve]
    return columns


def run_file(name: str) -> None:
    """Run pickled (work, jobs, import path) and write the answers beside it as JSON; for a fresh process."""
    file = Path(name)
    work, jobs, path = cloudpickle.loads(file.read_bytes())
    sys.path.extend(entry for entry in path if entry not in sys.path)
    set_threads(work.threads)
    runner = SegmentRunner(work, load_data(work.data))
    set_threads(work.threads)
    results = [runner.run(job) for job in jobs]
    file.with_suffix(".json").write_text(json.dumps([[to_json(r.event), r.info] for r in results]))
