"""What a result hands out: frozen values, made from the view when they are asked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hyperband.messages import Json, number_from_json, number_to_json
from hyperband.results.text import plural
from hyperband.results.view import AttemptView, ExperimentView, RungView, TrialView

#: Resource and value, one pair for each report of the metric.
Curve: TypeAlias = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial has no rank."""

    trial: int
    bracket: int
    rung: int
    resource: int  #: units it was to be trained to
    attempt: int
    kind: str  #: exception, metric, state, killed, or "not finite"
    message: str
    traceback: str | None = None

    def to_json(self) -> Json:
        """Return it as a plain JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Decision:
    """A rank decision about a trial."""

    promoted: bool
    bracket: int
    rung: int
    resource: int
    value: float | None  #: of the trial at that rung
    rank: int | None  #: 1 is best
    of: int | None
    places: int  #: how many went up from that rung
    cutoff: float | None  #: value of the last one that went up
    reason: str | None  #: rank, completed or failed, where it was stopped

    def to_json(self) -> Json:
        """Return it as a plain JSON object."""
        body: Json = {name: getattr(self, name) for name in self.__slots__}
        return {**body, "value": strict(self.value), "cutoff": strict(self.cutoff)}


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial, as it stands."""

    id: int
    config: Mapping[str, Any]
    bracket: int
    status: str  #: running, waiting, paused, stopped, completed or failed
    resource: int  #: units committed
    value: float | None  #: last committed value of the metric; may be NaN or infinite
    metrics: Mapping[str, float]  #: last committed report
    attempts: int  #: segments begun, repetitions included
    seconds: float  #: worker seconds
    curve: Curve
    failure: Failure | None
    decisions: tuple[Decision, ...]

    def to_json(self) -> Json:
        """Return it as a plain JSON object."""
        return {
            "id": self.id,
            "config": dict(self.config),
            "bracket": self.bracket,
            "status": self.status,
            "resource": self.resource,
            "value": strict(self.value),
            "metrics": strict_metrics(self.metrics),
            "attempts": self.attempts,
            "seconds": round(self.seconds, 6),
            "curve": [[resource, strict(value)] for resource, value in self.curve],
            "failure": self.failure and self.failure.to_json(),
            "decisions": [decision.to_json() for decision in self.decisions],
        }


@dataclass(frozen=True, slots=True)
class RungRow:
    """A rung as planned and as it went: ``planned`` trials were to be trained to ``resource`` units."""

    bracket: int
    s: int  #: aggressiveness of the bracket
    rung: int
    resource: int
    planned: int
    running: int
    waiting: int
    done: int  #: trained to here with a finite value
    failed: int
    carried: int  #: ended by themselves before and are compared here with their last value
    promoted: int
    stopped: int
    completed: int
    best: float | None

    def to_json(self) -> Json:
        """Return it as a plain JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


# --- from the view ---------------------------------------------------------------------------


def trial_result(view: ExperimentView, trial: TrialView) -> TrialResult:
    """Return a trial as a frozen value."""
    committed = [attempt for attempt in trial.attempts if attempt.outcome == "committed"]
    return TrialResult(
        trial.id,
        trial.config,
        trial.bracket,
        trial.status.value,
        trial.resource,
        trial.value,
        committed[-1].metrics if committed else {},
        len(trial.attempts),
        sum(attempt.info.get("seconds", 0.0) for attempt in trial.attempts),
        curve(committed, view.metric),
        failure(view, trial),
        decisions(view, trial),
    )


def curve(committed: list[AttemptView], metric: str) -> Curve:
    """Return every report of a metric in the committed segments; reports that left it out are missing."""
    points: list[tuple[int, float]] = []
    for attempt in committed:
        columns = attempt.info.get("curve") or {}
        if metric in columns:
            pairs = zip(columns["resource"], columns[metric], strict=True)
            points += [(resource, number_from_json(value)) for resource, value in pairs if value is not None]
        elif metric in attempt.metrics:
            points.append((attempt.resource, attempt.metrics[metric]))
    return tuple(points)


def failure(view: ExperimentView, trial: TrialView) -> Failure | None:
    """Return why the trial has no rank, if so."""
    if not trial.attempts:
        return None
    last = trial.attempts[-1]
    kind, message = last.kind, last.message
    if last.outcome == "committed" and last.value is not None and not math.isfinite(last.value):
        value = number_to_json(last.value)
        kind, message = "not finite", f"`{view.metric}` was {value} after {plural(last.resource, view.unit)}"
    elif last.outcome == "lost" and trial.status == "failed":
        kind, message = "killed", f"lost {trial.losses} times ({last.kind}): {last.message}"
    elif last.outcome != "failed":
        return None
    trace = last.info.get("traceback")
    return Failure(trial.id, last.bracket, last.rung, last.stop, last.attempt, kind, message, trace)


def decisions(view: ExperimentView, trial: TrialView) -> tuple[Decision, ...]:
    """Return the rank decisions about a trial, in the order in which they fell."""
    values = {attempt.rung: attempt.value for attempt in trial.attempts if attempt.outcome == "committed"}
    found = []
    for item in trial.decisions:
        rung = view.rungs[item.bracket, item.rung]
        value = values.get(item.rung, trial.value if trial.done else None)
        found.append(
            Decision(
                item.promoted,
                item.bracket,
                item.rung,
                rung.resource,
                value,
                item.rank,
                item.of,
                rung.promoted,
                item.cutoff,
                item.reason,
            )
        )
    return tuple(found)


def rung_row(view: ExperimentView, rung: RungView) -> RungRow:
    """Return a rung as a frozen value."""
    return RungRow(
        rung.bracket,
        view.plan.brackets[rung.bracket].s if view.plan else 0,
        rung.rung,
        rung.resource,
        rung.planned,
        rung.running,
        rung.waiting,
        rung.done,
        rung.failed,
        rung.carried,
        rung.promoted,
        rung.stopped,
        rung.completed,
        rung.best,
    )


# --- strict JSON -----------------------------------------------------------------------------


def strict(value: float | None) -> float | str | None:
    """Return a number such that strict JSON can hold it."""
    return None if value is None else number_to_json(value)


def strict_metrics(metrics: Mapping[str, float]) -> Json:
    """Return metrics such that strict JSON can hold them."""
    return {name: number_to_json(value) for name, value in metrics.items()}
