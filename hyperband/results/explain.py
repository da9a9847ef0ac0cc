"""Why a trial went the way it went, in words: ``result.why(17)``."""

from dataclasses import dataclass
from typing import Any

from hyperband.messages import Json
from hyperband.planning import Plan
from hyperband.results.text import aligned, clean, duration, flat, number, one_line, plural, setting
from hyperband.results.values import Decision, TrialResult, strict, strict_metrics, trial_result
from hyperband.results.view import AttemptView, ExperimentView

#: Lines of a traceback that are shown; the last ones tell most.
TRACEBACK_LINES = 12


@dataclass(frozen=True, slots=True)
class Explanation:
    """One trial's story; ``str`` gives it in words, ``to_json`` as data."""

    experiment: str
    metric: str
    plan: Plan
    trial: TrialResult
    attempts: tuple[AttemptView, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return the story line by line."""
        trial = self.trial
        bracket = self.plan.brackets[trial.bracket]
        ladder = "  ".join(f"{rung.n} @ {rung.resource}" for rung in bracket.rungs)
        lines = [
            f"trial {trial.id} of {clean(self.experiment)}: {self._headline()}",
            "",
            *aligned((clean(name), setting(value)) for name, value in flat(trial.config).items()),
            "",
            f"bracket {trial.bracket} (s={bracket.s}), trials @ {self.plan.unit}s: {ladder}",
        ]
        for rung in range(len(bracket.rungs)):
            lines += self._rung(rung)
        if trial.failure and trial.failure.traceback:
            tail = clean(trial.failure.traceback).rstrip().splitlines()[-TRACEBACK_LINES:]
            lines += ["", "end of the traceback:", *(f"  {line}" for line in tail)]
        return lines

    def _headline(self) -> str:
        trial = self.trial
        if trial.value is None:
            return trial.status
        after = plural(trial.resource, self.plan.unit)
        return f"{trial.status}, {clean(self.metric)} {number(trial.value)} after {after}"

    def _rung(self, rung: int) -> list[str]:
        """What happened on one rung: its attempts, then the verdict."""
        lines = [f"  {self._attempt(attempt)}" for attempt in self.attempts if attempt.rung == rung]
        failure = self.trial.failure
        if failure is not None and failure.rung == rung and failure.kind == "killed":
            lines.append(f"  given up: {one_line(failure.message)}")
        lines += [f"  {self._verdict(decision)}" for decision in self.trial.decisions if decision.rung == rung]
        if not lines:
            return []
        resource = self.plan.brackets[self.trial.bracket].rungs[rung].resource
        return [f"rung {rung} ({plural(resource, self.plan.unit)})", *lines]

    def _attempt(self, attempt: AttemptView) -> str:
        last = attempt.resource if attempt.outcome == "committed" else attempt.stop
        units = f"{self.plan.unit} {last}"
        if last - attempt.start > 1:
            units = f"{self.plan.unit}s {attempt.start + 1} to {last}"
        again = f" (attempt {attempt.attempt})" if attempt.attempt > 1 else ""
        if attempt.outcome == "running":
            return f"{units}{again}: in flight"
        if attempt.outcome == "lost":
            return f"{units}{again}: lost ({attempt.kind}): {one_line(attempt.message)}"
        if attempt.outcome == "failed":
            return f"{units}{again}: failed ({attempt.kind}): {one_line(attempt.message)}"
        where = ""
        if "seconds" in attempt.info:
            where = f" in {duration(attempt.info['seconds'])}"
        if "worker" in attempt.info:
            where += f" on worker {attempt.info['worker']}"
        if attempt.info.get("warm") and attempt.start:
            where += ", its state still in memory"
        return f"{units}{again}: trained{where}: {clean(self.metric)} {number(attempt.value)}"

    def _verdict(self, decision: Decision) -> str:
        word = "promoted" if decision.promoted else "stopped"
        if decision.reason == "completed":
            word = "completed, this is the top rung"
        elif decision.reason == "failed":
            word = "stopped, it has no value to rank"
        if decision.rank is None or decision.of is None:
            return word
        rank = f"rank {decision.rank} of {decision.of}"
        if decision.reason == "completed" or not decision.places:
            return f"{rank}: {word}"
        up = "the best one goes up" if decision.places == 1 else f"the best {decision.places} go up"
        cutoff = "" if decision.cutoff is None else f" (cut-off {number(decision.cutoff)})"
        return f"{rank}, {up}{cutoff}: {word}"

    def to_json(self) -> Json:
        """Return the story as a plain JSON object."""
        bracket = self.plan.brackets[self.trial.bracket]
        return {
            "experiment": self.experiment,
            "metric": self.metric,
            "unit": self.plan.unit,
            "trial": self.trial.to_json(),
            "rungs": [[rung.n, rung.resource] for rung in bracket.rungs],
            "segments": [_segment(attempt) for attempt in self.attempts],
            "text": str(self),
        }


def _segment(attempt: AttemptView) -> Json:
    body: dict[str, Any] = {
        "rung": attempt.rung,
        "start": attempt.start,
        "stop": attempt.stop,
        "attempt": attempt.attempt,
        "outcome": attempt.outcome,
        "begun": attempt.begun,
        "ended": attempt.ended,
        "value": strict(attempt.value),
        "metrics": strict_metrics(attempt.metrics),
        "info": {name: value for name, value in attempt.info.items() if name != "curve"},
    }
    if attempt.message or attempt.kind:
        body |= {"kind": attempt.kind, "message": attempt.message}
    return body


def explain(view: ExperimentView, trial: int) -> Explanation:
    """Return the story of a trial that the view knows."""
    held = view.trials[trial]
    plan = view.plan
    if plan is None:  # a trial without a header cannot be: the fold takes nothing before it
        raise KeyError(trial)
    name = str(view.header.get("name", ""))
    # Copies: a later `refresh` must not change an explanation that was given.
    attempts = tuple(_copy(attempt) for attempt in held.attempts)
    return Explanation(name, view.metric, plan, trial_result(view, held), attempts)


def _copy(attempt: AttemptView) -> AttemptView:
    return AttemptView(*(getattr(attempt, name) for name in AttemptView.__slots__))
