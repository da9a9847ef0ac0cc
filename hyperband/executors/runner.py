"""Trains one segment inside a worker: restore, train, save, commit the checkpoint, say what happened.

This is the worker's side of every executor that really trains, and the only place besides an explicit
``result.best.load`` where anything is unpickled. What it returns is data: events and plain JSON, never exceptions or
objects of the user's code.
"""

import contextlib
import copy
import json
import os
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import cloudpickle

from hyperband import randomness
from hyperband.checkpoints import CheckpointStore, Encoded, capture, decode, encode, restore
from hyperband.errors import CheckpointDamagedError, HyperbandError, MetricError, StateError, StorageError
from hyperband.executors.base import Returned, Work
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
#: Characters of a traceback that travel to the journal.
TRACEBACK_LIMIT: Final = 8000

_RANDOM, _STATE = "@random", "@state"  # names no keyword argument can have


class Port:
    """The state of one segment: encoded entries of its checkpoint on one side, the next one's on the other."""

    def __init__(self, saved: Mapping[str, Encoded] | None) -> None:
        self._saved = saved
        self.entries: dict[str, Encoded] = {}

    @property
    def resuming(self) -> bool:
        """Whether there is a checkpoint to continue from."""
        return self._saved is not None

    def restore(self, objects: Mapping[str, object]) -> None:
        """Bring live objects back to the saved state, in place."""
        for name, obj in objects.items():
            restore(obj, self.load(name), name)

    def load(self, name: str) -> Any:
        """Return a saved value."""
        saved = self._saved or {}
        if name not in saved:
            known = ", ".join(f"`{key}`" for key in saved if not key.startswith("@"))
            msg = f"the checkpoint has no `{name}` (it has {known}); hand the same objects to every segment"
            raise StateError(msg)
        return decode(saved[name])

    def restore_context(self) -> dict[str, Any]:
        """Bring the random number generators back and return ``ctx.state``."""
        randomness.restore(self.load(_RANDOM))
        state: dict[str, Any] = self.load(_STATE)
        return state

    def capture(self, objects: Mapping[str, object], state: Mapping[str, Any]) -> None:
        """Copy live objects."""
        self.save({name: capture(obj, name) for name, obj in objects.items()}, state)

    def save(self, values: Mapping[str, object], state: Mapping[str, Any]) -> None:
        """Encode values, ``ctx.state`` and the random number generators as they are now."""
        entries = {name: encode(name, value) for name, value in values.items()}
        entries[_STATE] = encode("ctx.state", dict(state))
        entries[_RANDOM] = encode(_RANDOM, randomness.capture())
        self.entries = entries


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
        """Train the job's segment and commit its checkpoint; whatever goes wrong is an event."""
        began = time.perf_counter()
        info: Json = {}
        try:
            event = self._train(job, info)
        except CheckpointDamagedError as error:
            event = Lost(job.trial, job.segment, job.attempt, LossCause.CHECKPOINT, str(error))
        except StorageError as error:
            event = Lost(job.trial, job.segment, job.attempt, LossCause.STORAGE, str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a trainable raises is its own failure, SystemExit too
            event = _failed(job, error)
            info["traceback"] = _tail(traceback.format_exc())
        info["seconds"] = round(time.perf_counter() - began, 6)
        return Returned(event, info)

    def _train(self, job: Job, info: Json) -> Event:
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
        checkpoint = self._store.commit(job.trial, ctx.resource, job.attempt, port.entries, code=self._work.code)
        self._remember(checkpoint, port.entries, keep)
        if len(ctx.curve) > 1:
            info["curve"] = _columns(ctx.curve)
        return Reported(job.trial, job.segment, job.attempt, ctx.reported, checkpoint, ctx.resource, done)

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
    return data() if callable(data) else data


def set_threads(threads: int) -> None:
    """Let torch use so many threads, now or when it is imported; results then do not depend on the machine."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    else:
        os.environ["OMP_NUM_THREADS"] = str(threads)


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Like ``set_threads``, for a process that is not ours: what was set before comes back."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    variable = os.environ.get("OMP_NUM_THREADS")
    set_threads(threads)
    try:
        yield
    finally:
        if variable is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = variable
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(before or len(os.sched_getaffinity(0)))


def _failed(job: Job, error: BaseException) -> Failed:
    kinds = {MetricError: FailureKind.METRIC, StateError: FailureKind.STATE}
    kind = next((kind for cls, kind in kinds.items() if isinstance(error, cls)), FailureKind.EXCEPTION)
    summary = str(error) if isinstance(error, HyperbandError) else "".join(traceback.format_exception_only(error))
    return Failed(job.trial, job.segment, job.attempt, kind, _tail(summary.strip(), 1000))


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
    """Run one pickled (work, job, import path) and write the answer beside it as JSON; for a fresh process."""
    file = Path(name)
    work, job, path = cloudpickle.loads(file.read_bytes())
    sys.path.extend(entry for entry in path if entry not in sys.path)
    set_threads(work.threads)
    runner = SegmentRunner(work, load_data(work.data))
    set_threads(work.threads)
    result = runner.run(job)
    file.with_suffix(".json").write_text(json.dumps([to_json(result.event), result.info]))
