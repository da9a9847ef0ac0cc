"""``Result``: everything about an experiment, read from its journal alone.

Nothing here runs user code, and neither Ray nor torch need be importable - with one exception that says so:
``result.best.load()`` unpickles a state.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from hyperband.errors import ConfigurationError, ExperimentNotFoundError, NoResultError, UnknownNameError, suggest
from hyperband.journal import JournalReader
from hyperband.manager.experiment import Experiment
from hyperband.messages import Checkpoint, Json
from hyperband.planning import Plan
from hyperband.results import render
from hyperband.results.explain import Explanation, explain
from hyperband.results.liveness import driver_alive
from hyperband.results.text import flat, number, one_line, settings
from hyperband.results.values import (
    Failure,
    RungRow,
    TrialResult,
    failure,
    rung_row,
    strict,
    strict_metrics,
    trial_result,
)
from hyperband.results.view import ExperimentView

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class BestResult:
    """The best trial: trained furthest, then the best value, then the lowest id."""

    trial: int
    config: Mapping[str, Any]
    value: float
    resource: int
    metrics: Mapping[str, float]
    checkpoint: Checkpoint | None  #: where its state is; None if the run kept no states
    experiment: Path

    def load(self, name: str | None = None, into: object | None = None) -> Any:
        """Return the saved state of the best trial. This unpickles: do it only with experiments that you trust.

        Args:
            name: The entry wanted, as it was handed to ``ctx.steps(model=..., optimizer=...)``, or ``"state"`` for
                the state of a function or class; None for a dict of all entries.
            into: A freshly built object (``torch.nn.Module``, optimiser ...) that takes the state over, in place.

        Returns:
            ``into`` if it was given, else the state: for a torch model its ``state_dict``, on the CPU.

        Raises:
            NoResultError: There is no checkpoint.
            UnknownNameError: There is no such entry; the message names those there are.
            CheckpointDamagedError: The bytes are not those that were committed; nothing was loaded.
            StateError: The state cannot be rebuilt here, or does not fit ``into``.
        """
        from hyperband.checkpoints import CheckpointStore, decode, restore  # noqa: PLC0415 - only readers of states

        if self.checkpoint is None or self.checkpoint.size == 0:  # a curve leaves handles without bytes
            msg = f"trial {self.trial} has no checkpoint: this experiment kept no states"
            raise NoResultError(msg)
        entries = CheckpointStore(self.experiment / "checkpoints").load(self.checkpoint).entries
        visible = {key: value for key, value in entries.items() if not key.startswith("@")}
        if name is None and into is not None:
            if len(visible) != 1:
                msg = f"`into` needs `name`: the checkpoint has the entries {', '.join(map(repr, visible)) or 'none'}"
                raise ConfigurationError(msg)
            name = next(iter(visible))
        if name is None:
            return {key: decode(value, key) for key, value in visible.items()}
        if name not in visible:
            msg = f"the checkpoint of trial {self.trial} has no entry `{name}`.{suggest(name, visible)}"
            raise UnknownNameError(msg)
        state = decode(visible[name], name)
        if into is None:
            return state
        restore(into, state, name)
        return into

    def to_json(self) -> Json:
        """Return it as a plain JSON object."""
        return {
            "trial": self.trial,
            "config": dict(self.config),
            "value": strict(self.value),
            "resource": self.resource,
            "metrics": strict_metrics(self.metrics),
            "checkpoint": self._where(),
        }

    def _where(self) -> Json | None:
        """Return where the state is, by name; None if there is none."""
        held = self.checkpoint
        if held is None:
            return None
        file = held.pack or f"{held.name.replace('/', '-')}.ckpt"
        place = {"file": f"checkpoints/{file}", "offset": held.offset, "size": held.size, "digest": held.digest}
        return {"trial": held.trial, "resource": held.resource, "attempt": held.attempt, **place}

    def __str__(self) -> str:
        """Return it as one line."""
        return f"trial {self.trial}: {number(self.value)} after {self.resource}, {settings(self.config)}"


class Trials(Sequence[TrialResult]):
    """The trials of a result by position, in the order of their ids; made one by one when they are looked at."""

    __slots__ = ("_ids", "_view")

    def __init__(self, view: ExperimentView) -> None:
        self._view = view
        self._ids = sorted(view.trials)

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> TrialResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[TrialResult]: ...
    def __getitem__(self, index: int | slice) -> TrialResult | list[TrialResult]:
        if isinstance(index, slice):
            return [self._make(trial) for trial in self._ids[index]]
        return self._make(self._ids[index])

    def __iter__(self) -> Iterator[TrialResult]:
        return map(self._make, self._ids)

    def _make(self, trial: int) -> TrialResult:
        return trial_result(self._view, self._view.trials[trial])


class Result:
    """An experiment as its journal tells it, finished or not; ``refresh`` reads on.

    Attributes:
        path: Directory of the experiment.
        view: The fold of its journal, for displays; treat it as read-only.
    """

    def __init__(self, path: Path | str, *, detail: bool = True) -> None:
        """Read the journal; see ``load_result``. Without ``detail`` trials that have ended are only counted."""
        self.path = Path(path)
        Experiment(self.path).require()
        self.view = ExperimentView(detail=detail)
        self._reader = JournalReader(self.path / "journal")
        self.refresh()

    def refresh(self) -> "Result":
        """Read what was written since, and return this result.

        Raises:
            JournalDamagedError: A line is not the one that was written.
        """
        for record in self._reader.advance():
            self.view.apply(record)
        if not self.view.header:
            msg = f"`{self.path}` has a journal but no experiment yet: its driver is just starting, or died at once"
            raise ExperimentNotFoundError(msg)
        self._alive = driver_alive(self.path / "journal")
        return self

    # --- what it is --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return str(self.view.header["name"])

    @property
    def status(self) -> str:
        """``finished``, ``running``, ``interrupted`` (asked to stop) or ``unfinished``.

        An unfinished one has no driver any more, or one on another host: it was killed, or runs there.
        """
        if self.view.finished:
            return "finished"
        if self._alive:
            return "running"
        return "interrupted" if self.view.interrupted else "unfinished"

    @property
    def metric(self) -> str:
        """Name of the metric that ranks."""
        return self.view.metric

    @property
    def mode(self) -> str:
        """``min`` or ``max``."""
        return self.view.mode

    @property
    def plan(self) -> Plan:
        """What was planned."""
        return Plan.from_json(self.view.header["plan"])

    # --- what came out -----------------------------------------------------------------------

    @property
    def trials(self) -> Trials:
        """All trials that were begun, by id."""
        return Trials(self.view)

    @property
    def best(self) -> BestResult:
        """The best trial so far.

        Raises:
            NoResultError: No trial reported a finite value yet; the message tells the first failure.
        """
        best = self.view.best
        if best is None:
            what = "failed or reported no finite value" if self.view.finished else "reported a finite value yet"
            subject = "every trial" if self.view.finished else "no trial"
            first = self.view.first_failure
            more = f"; the first failure: {one_line(first, 300)}" if first else ""
            msg = f"there is no best trial in `{self.path}`: {subject} {what}{more}"
            raise NoResultError(msg)
        return BestResult(
            best.trial, best.config, best.value, best.resource, best.metrics, best.checkpoint, self.path.absolute()
        )

    @property
    def rungs(self) -> tuple[RungRow, ...]:
        """Planned and actual numbers of every rung, bracket by bracket."""
        return tuple(rung_row(self.view, rung) for rung in self.view.rungs.values())

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Why trials have no rank, in the order of their ids."""
        found = (failure(self.view, trial) for _, trial in sorted(self.view.trials.items()))
        return tuple(item for item in found if item is not None)

    def why(self, trial: int) -> Explanation:
        """Return the story of a trial: what it was trained, and what each rung decided.

        Raises:
            NoResultError: There is no such trial; the message says which there are.
        """
        if trial not in self.view.trials:
            count = len(self.view.trials)
            there = f"they are numbered 0 to {count - 1}" if count else "none was begun yet"
            planned = f" ({self.plan.trials} are planned)" if count < self.plan.trials else ""
            msg = f"there is no trial {trial!r} in `{self.path}`: {there}{planned}"
            raise NoResultError(msg)
        return explain(self.view, trial)

    # --- as something else -------------------------------------------------------------------

    def to_pandas(self) -> "pd.DataFrame":
        """Return one row per trial, indexed by id, with columns ``config/...`` and ``metrics/...``.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - an extra
        except ImportError as error:
            msg = "to_pandas() needs pandas, which is not installed; install it with `pip install 'hyperband[pandas]'`"
            raise ConfigurationError(msg) from error
        rows = [_table_row(trial) for trial in self.trials]
        columns = list(dict.fromkeys(name for row in rows for name in row)) or ["id"]
        return pd.DataFrame(rows, columns=columns).set_index("id")

    def to_json(self) -> Json:
        """Return a summary as a plain JSON object; trials are in ``trials`` and ``why``."""
        view = self.view
        best = self.best.to_json() if view.best is not None else None
        return {
            "name": self.name,
            "path": str(self.path),
            "status": self.status,
            "metric": self.metric,
            "mode": self.mode,
            "seed": view.header.get("seed"),
            "trainable": view.header.get("trainable", {}).get("name"),
            "sampler": view.header.get("sampler", {}).get("name"),
            "created": view.header.get("created"),
            "drivers": len(view.drivers),
            "elapsed": round(view.elapsed, 3),
            "seconds": round(view.seconds, 3),
            "plan": self.plan.to_json(),
            "trials": {"planned": self.plan.trials, "begun": view.started, "running": view.running},
            "units": {
                "planned": self.plan.units,
                "trained": view.units,
                "dispatched": view.units_dispatched,
                "without_resume": view.units_without_resume,
            },
            "failed": view.raised,
            "not_finite": view.not_finite,
            "lost": view.losses,
            "first_failure": view.first_failure,
            "best": best,
            "rungs": [row.to_json() for row in self.rungs],
        }

    def __str__(self) -> str:
        return render.as_text(self)

    def __repr__(self) -> str:
        return f"<Result {self.name!r} at {str(self.path)!r}: {self.status}, {len(self.view.trials)} trials>"

    def _repr_html_(self) -> str:
        return render.as_html(self)


def _table_row(trial: TrialResult) -> dict[str, Any]:
    value = math.nan if trial.value is None else trial.value
    return {
        "id": trial.id,
        "bracket": trial.bracket,
        "status": trial.status,
        "resource": trial.resource,
        "value": value,
        "attempts": trial.attempts,
        "seconds": trial.seconds,
        "failure": trial.failure and trial.failure.message,
        **{f"config/{name}": setting for name, setting in flat(trial.config).items()},
        **{f"metrics/{name}": number for name, number in trial.metrics.items()},
    }


def load_result(path: Path | str) -> Result:
    """Read an experiment, running or finished; never runs user code.

    Args:
        path: Its directory.

    Raises:
        ExperimentNotFoundError: There is none; the message lists its neighbours.
        JournalDamagedError: A line of the journal is not the one that was written.
        FormatVersionError: It was written by a newer version.
    """
    return Result(path)
