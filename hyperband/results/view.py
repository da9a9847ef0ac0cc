"""The journal folded into what a reader wants to know, one record at a time.

The same fold serves a finished experiment (``load_result``), a running one (``Result.refresh``) and the live display
in the driver. It decides nothing and trusts the driver's decisions; it needs neither the search nor user code. Every
record costs the same, however many came before. Records of a type it does not know are passed over, so that a later
version may write more.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hyperband.messages import Checkpoint, Json, LossCause, StopReason, checkpoint_from_json, number_from_json
from hyperband.planning import Plan
from hyperband.search import Status

#: Losses for which nobody's trial pays (as in the search).
_BLAMELESS: Final = frozenset({LossCause.DRIVER.value, LossCause.STORAGE.value})
_ENDS: Final = {
    StopReason.RANK.value: Status.STOPPED,
    StopReason.COMPLETED.value: Status.COMPLETED,
    StopReason.FAILED.value: Status.FAILED,
}


@dataclass(slots=True)
class AttemptView:
    """One attempt at one segment."""

    bracket: int
    rung: int
    start: int
    stop: int
    attempt: int
    begun: float | None  #: wall time at which it was leased out
    outcome: str = "running"  #: running, committed, failed or lost
    ended: float | None = None
    resource: int = 0  #: units trained in all when it was committed
    value: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    kind: str = ""  #: of a failure, or the cause of a loss
    message: str = ""
    info: Json = field(default_factory=dict)


@dataclass(slots=True)
class DecisionView:
    """A rank decision about a trial."""

    promoted: bool
    bracket: int
    rung: int
    reason: str | None  #: why it was stopped: rank, completed, failed
    rank: int | None
    of: int | None
    cutoff: float | None


@dataclass(slots=True)
class TrialView:
    """A trial as far as the journal tells."""

    id: int
    bracket: int
    config: Json
    status: Status = Status.RUNNING
    resource: int = 0  #: units of its last committed segment
    value: float | None = None  #: of its last committed segment; may be NaN or infinite
    losses: int = 0  #: of the segment it is in, as far as they count
    done: bool = False  #: it ended by itself
    attempts: list[AttemptView] = field(default_factory=list)
    decisions: list[DecisionView] = field(default_factory=list)


@dataclass(slots=True)
class RungView:
    """How far a rung is. ``planned = waiting + running + done + failed + carried + missing``."""

    bracket: int
    rung: int
    planned: int
    resource: int
    entered: int  #: trials that belong here; grows by promotion, except in the first rung
    running: int = 0
    done: int = 0  #: trained to here with a finite value
    failed: int = 0  #: raised, killed its worker too often, or reported a value that is not finite
    carried: int = 0  #: ended by themselves further down and were promoted without training
    promoted: int = 0
    stopped: int = 0  #: cut by rank
    completed: int = 0  #: reached the top
    decided: int = 0  #: trials with a verdict
    best: float | None = None
    best_trial: int | None = None

    @property
    def waiting(self) -> int:
        """Trials that are here and neither run nor are through, those included whose attempt was lost."""
        return self.entered - self.running - self.done - self.failed - self.carried

    @property
    def closed(self) -> bool:
        """Whether every trial that entered has its verdict."""
        return self.decided > 0 and self.decided >= self.entered


@dataclass(slots=True)
class BestView:
    """The incumbent: highest resource first, then value, then lower trial id."""

    trial: int
    config: Json
    resource: int
    value: float
    metrics: Mapping[str, float]
    checkpoint: Checkpoint | None


@dataclass(slots=True)
class DriverView:
    """One driver's time with the experiment."""

    epoch: int
    pid: int | None
    host: str | None
    begun: float
    last: float


class ExperimentView:
    """Incremental fold over journal records.

    Args:
        detail: Keep trials that have ended, with all their attempts. A display that runs for days does without.
    """

    def __init__(self, *, detail: bool = True) -> None:
        self.header: Json = {}  #: empty until the record ``experiment`` was seen
        self.plan: Plan | None = None
        self.trials: dict[int, TrialView] = {}
        self.rungs: dict[tuple[int, int], RungView] = {}
        self.best: BestView | None = None
        self.drivers: list[DriverView] = []
        self.records = 0
        self.running = 0  #: segments in flight
        self.workers: int | None = None  #: of the last driver
        self.started = 0  #: trials begun
        self.segments = 0  #: segments committed
        self.units = 0  #: resource units committed
        self.units_dispatched = 0  #: resource units of every attempt
        self.units_without_resume = 0  #: what the committed segments would have cost without checkpoints
        self.raised = 0  #: trials that failed by an exception, a bad report or by killing their workers
        self.not_finite = 0  #: trials that reported NaN or an infinity
        self.losses = 0  #: attempts lost, whoever was to blame
        self.stale = 0  #: late or repeated results that were ignored
        self.seconds = 0.0  #: worker seconds of training
        self.finished = False
        self.interrupted: str | None = None  #: the signal, if the last driver was asked to stop
        self.first_failure: str | None = None
        self._detail = detail
        self._metric = ""
        self._sign = 1.0
        self._max_losses = 3
        self._handlers: dict[str, Callable[[Json], None]] = {
            "epoch": self._on_epoch,
            "experiment": self._on_experiment,
            "start": self._on_job,
            "resume": self._on_job,
            "committed": self._on_committed,
            "failed": self._on_failed,
            "lost": self._on_lost,
            "promote": self._on_promote,
            "stop": self._on_stop,
            "finish": self._on_finish,
            "interrupted": self._on_interrupted,
            "stale": self._on_stale,
            "workers": self._on_workers,
        }

    # --- questions ---------------------------------------------------------------------------

    @property
    def metric(self) -> str:
        """Name of the metric that ranks."""
        return self._metric

    @property
    def mode(self) -> str:
        """``min`` or ``max``."""
        return "max" if self._sign < 0 else "min"

    @property
    def unit(self) -> str:
        """What one unit of resource is called."""
        return self.plan.unit if self.plan else "unit"

    @property
    def elapsed(self) -> float:
        """Seconds during which a driver was at work, as far as the journal tells."""
        return sum(max(0.0, driver.last - driver.begun) for driver in self.drivers)

    # --- the fold ----------------------------------------------------------------------------

    def apply(self, record: Json) -> None:
        """Take the next record."""
        self.records += 1
        if self.drivers and "wall" in record:
            self.drivers[-1].last = record["wall"]
        handler = self._handlers.get(record["type"])
        if handler is not None and (self.header or record["type"] in ("epoch", "experiment")):
            handler(record)

    def _on_epoch(self, record: Json) -> None:
        wall = record["wall"]
        self.drivers.append(DriverView(record["epoch"], record.get("pid"), record.get("host"), wall, wall))
        self.interrupted = None

    def _on_workers(self, record: Json) -> None:
        self.workers = record["count"]

    def _on_experiment(self, record: Json) -> None:
        if self.header:  # a resumed run shows it to its observers twice
            return
        self.header = record
        self.plan = Plan.from_json(record["plan"])
        self._metric = record["metric"]
        self._sign = -1.0 if record["mode"] == "max" else 1.0
        self._max_losses = record.get("max_losses", self._max_losses)
        for b, bracket in enumerate(self.plan.brackets):
            for k, rung in enumerate(bracket.rungs):
                self.rungs[b, k] = RungView(b, k, rung.n, rung.resource, entered=0 if k else rung.n)

    def _on_job(self, record: Json) -> None:
        bracket, rung, start, stop = record["segment"]
        trial = self.trials.get(record["trial"])
        if trial is None:
            trial = TrialView(record["trial"], bracket, record.get("config", {}))
            self.trials[trial.id] = trial
            self.started += 1
        if record["attempt"] == 1:
            trial.losses = 0
        self.interrupted = None  # an interrupted driver starts nothing, so this is the next one
        trial.status = Status.RUNNING
        trial.attempts.append(AttemptView(bracket, rung, start, stop, record["attempt"], record.get("wall")))
        self.running += 1
        self.units_dispatched += stop - start
        self.rungs[bracket, rung].running += 1

    def _end_attempt(self, record: Json, outcome: str) -> tuple[TrialView, AttemptView, RungView]:
        """Close the running attempt that a record is about."""
        trial = self.trials[record["trial"]]
        attempt = trial.attempts[-1]
        attempt.outcome = outcome
        attempt.ended = record.get("wall")
        attempt.info = record.get("info", {})
        self.seconds += attempt.info.get("seconds", 0.0)
        self.running -= 1
        rung = self.rungs[attempt.bracket, attempt.rung]
        rung.running -= 1
        return trial, attempt, rung

    def _on_committed(self, record: Json) -> None:
        trial, attempt, rung = self._end_attempt(record, "committed")
        attempt.metrics = {name: number_from_json(value) for name, value in record["metrics"].items()}
        attempt.resource = record["resource"]
        attempt.checkpoint = checkpoint_from_json(record["checkpoint"])
        value = attempt.value = float(attempt.metrics.get(self._metric, math.nan))
        trial.status = Status.PAUSED
        trial.resource, trial.value, trial.done = attempt.resource, value, record.get("done", False)
        self.segments += 1
        self.units += attempt.resource - attempt.start
        self.units_without_resume += attempt.resource
        if not math.isfinite(value):
            rung.failed += 1
            self.not_finite += 1
            if self.first_failure is None:
                value_shown = record["metrics"].get(self._metric)
                self.first_failure = f"trial {trial.id}: `{self._metric}` was {value_shown}"
            return
        rung.done += 1
        self._offer_rung(rung, trial.id, value)
        self._offer(trial, attempt, value)

    def _offer_rung(self, rung: RungView, trial: int, value: float) -> None:
        if rung.best is None or self._sign * value < self._sign * rung.best:
            rung.best, rung.best_trial = value, trial

    def _offer(self, trial: TrialView, attempt: AttemptView, value: float) -> None:
        best = self.best
        if best is not None:
            ours = (-attempt.resource, self._sign * value, trial.id)
            if ours >= (-best.resource, self._sign * best.value, best.trial):
                return
        self.best = BestView(trial.id, trial.config, attempt.resource, value, attempt.metrics, attempt.checkpoint)

    def _on_failed(self, record: Json) -> None:
        trial, attempt, rung = self._end_attempt(record, "failed")
        attempt.kind, attempt.message = record["kind"], record["message"]
        self._fail(trial, attempt, rung)

    def _on_lost(self, record: Json) -> None:
        trial, attempt, rung = self._end_attempt(record, "lost")
        attempt.kind, attempt.message = record["cause"], record.get("message", "")
        self.losses += 1
        trial.status = Status.WAITING
        if attempt.kind not in _BLAMELESS:
            trial.losses += 1
            if trial.losses >= self._max_losses:  # the search gives it up, without a record of its own
                self._fail(trial, attempt, rung)

    def _fail(self, trial: TrialView, attempt: AttemptView, rung: RungView) -> None:
        trial.status = Status.FAILED
        rung.failed += 1
        self.raised += 1
        if self.raised == 1:  # tells more than a NaN that came before it
            self.first_failure = f"trial {trial.id}: {attempt.message}"

    def _on_promote(self, record: Json) -> None:
        trial = self.trials[record["trial"]]
        self._decide(trial, record, promoted=True)
        bracket, rung = record["bracket"], record["rung"]
        self.rungs[bracket, rung].promoted += 1
        above = self.rungs[bracket, rung + 1]
        above.entered += 1
        if trial.done and trial.value is not None:
            above.carried += 1
            self._offer_rung(above, trial.id, trial.value)

    def _on_stop(self, record: Json) -> None:
        trial = self.trials[record["trial"]]
        reason = record["reason"]
        self._decide(trial, record, promoted=False)
        rung = self.rungs[record["bracket"], record["rung"]]
        rung.stopped += reason == StopReason.RANK.value
        rung.completed += reason == StopReason.COMPLETED.value
        trial.status = _ENDS[reason]
        if not self._detail:
            del self.trials[trial.id]

    def _decide(self, trial: TrialView, record: Json, *, promoted: bool) -> None:
        self.rungs[record["bracket"], record["rung"]].decided += 1
        if self._detail:
            cutoff: Any = record.get("cutoff")
            trial.decisions.append(
                DecisionView(
                    promoted,
                    record["bracket"],
                    record["rung"],
                    record.get("reason"),
                    record.get("rank"),
                    record.get("of"),
                    None if cutoff is None else number_from_json(cutoff),
                )
            )

    def _on_finish(self, record: Json) -> None:  # noqa: ARG002 - handlers look alike
        self.finished = True

    def _on_interrupted(self, record: Json) -> None:
        self.interrupted = record.get("signal", "a signal")

    def _on_stale(self, record: Json) -> None:  # noqa: ARG002 - handlers look alike
        self.stale += 1
