"""Space + sampler + scheduler as one pure machine: ``ask()`` for work, ``tell(event)`` what became of it.

This is the only place that knows a trial as a whole: its config, where it stands, which attempt holds the lease of
its segment, which checkpoint it would resume from. It has no clock, no files and no executor, so the journal can be
replayed through it and must produce the same actions.

Rules of the lease: a segment has at most one live attempt; attempts are numbered 1, 2, 3 ... without gaps; a result
counts only if it carries the number that holds the lease.
"""

import heapq
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hyperband.errors import InvariantError, MetricError, UserError
from hyperband.messages import (
    Action,
    Checkpoint,
    Config,
    Event,
    Failed,
    FailureKind,
    Finish,
    Job,
    Json,
    LossCause,
    Lost,
    Release,
    Reported,
    Resume,
    Start,
    Stop,
    StopReason,
    checkpoint_from_json,
    checkpoint_to_json,
    segment_to_json,
)
from hyperband.planning import Plan, require_int
from hyperband.samplers import Observation, Sampler, config_rng, resolve_sampler
from hyperband.schedulers import Outcome, Scheduler, Verdict, resolve_scheduler
from hyperband.search.metric import Mode, read_metric, require_metric, require_mode
from hyperband.search.trials import TERMINAL, Best, Status, Trial
from hyperband.space import Space

#: Losses of one segment (dead workers) before its trial is given up; three dead workers are no accident.
MAX_LOSSES: Final = 3


class Search:
    """The pure core of a run, usable on its own (ask and tell) without executor, files or Ray.

    Example:
        ``search = Search(space, Hyperband(27), metric="loss", mode="min"); job = search.ask();
        search.tell(job, 0.3)``

    Args:
        space: A ``Space`` or the dict that defines one.
        scheduler: A scheduler, or its name.
        sampler: A sampler, or its name.
        metric: Key of the reported metrics that ranks trials.
        mode: ``"min"`` or ``"max"``.
        seed: Config k depends on (seed, k) alone unless the sampler is adaptive; 0 or more.
        max_losses: Dead workers under one segment before its trial counts as failed, >= 1.

    Raises:
        ConfigurationError: An argument is out of range.
    """

    def __init__(
        self,
        space: Space | Mapping[str, object],
        scheduler: Scheduler | str,
        sampler: Sampler | str = "random",
        *,
        metric: str,
        mode: Mode,
        seed: int = 0,
        max_losses: int = MAX_LOSSES,
    ) -> None:
        self.space = space if isinstance(space, Space) else Space(space)
        self.scheduler = resolve_scheduler(scheduler)
        self.sampler = resolve_sampler(sampler)
        self.metric = require_metric(metric)
        self.mode = require_mode(mode)
        self.seed = require_int("seed", seed, 0)
        self.max_losses = require_int("max_losses", max_losses, 1)
        self.plan = self._fit_plan()
        self.trials: dict[int, Trial] = {}
        self.best: Best | None = None
        self._sign = -1.0 if mode == "max" else 1.0
        self._state = self.scheduler.begin(self.plan)
        self._retries: list[int] = []  #: heap of trials whose attempt was lost
        self._in_flight = 0
        self._history: list[Observation] = []  #: only filled for samplers that read it
        self._finish_told = False

    def _fit_plan(self) -> Plan:
        """Return the scheduler's plan, cut down if the space has fewer configs than it wants."""
        plan = self.scheduler.plan()
        limit = self.sampler.size(self.space)
        return plan if limit is None or limit >= plan.trials else plan.limited(limit)

    # --- questions ---------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Segments leased out."""
        return self._in_flight

    @property
    def finished(self) -> bool:
        """Whether every rung is decided and nothing is in flight."""
        return self._state.finished and not self._in_flight and not self._retries

    def is_current(self, event: Event) -> bool:
        """Return whether the event belongs to the attempt that holds the lease (else: late or repeated)."""
        trial = self.trials.get(event.trial)
        return (
            trial is not None
            and trial.status is Status.RUNNING
            and trial.segment == event.segment
            and trial.attempt == event.attempt
        )

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Return whether a trial may be resumed from this checkpoint, or it is the best one."""
        trial = self.trials.get(checkpoint.trial)
        best = self.best.checkpoint if self.best else None
        return checkpoint == best or (trial is not None and trial.checkpoint == checkpoint)

    # --- ask ---------------------------------------------------------------------------------

    def ask(self) -> Job | None:
        """Lease the next segment out.

        Returns:
            ``Start`` or ``Resume``; None if there is nothing to train until a result comes in, or at the end.
        """
        if self._retries:
            trial = self.trials[heapq.heappop(self._retries)]
            trial.attempt += 1
            trial.status = Status.RUNNING
            self._in_flight += 1
            return self._job(trial)
        slot = self._state.ask()
        if slot is None:
            return None
        known = self.trials.get(slot.trial)
        if known is None:
            trial = Trial(slot.trial, self._propose(slot.trial), slot.segment)
            self.trials[slot.trial] = trial
        else:
            trial = known
            trial.segment, trial.attempt, trial.losses, trial.status = slot.segment, 1, 0, Status.RUNNING
        self._in_flight += 1
        return self._job(trial)

    def _propose(self, index: int) -> Config:
        config = self.sampler.propose(self.space, index, config_rng(self.seed, index), self._history)
        if config is None:
            msg = f"sampler {self.sampler.name!r} has no config {index}, though its size allows {self.plan.trials}"
            raise InvariantError(msg)
        return config

    def _job(self, trial: Trial) -> Job:
        config = trial.config or {}
        if trial.segment.start == 0:
            return Start(trial.id, config, trial.segment, trial.attempt)
        return Resume(trial.id, config, trial.segment, trial.checkpoint, trial.attempt)

    # --- tell --------------------------------------------------------------------------------

    def tell(
        self, event: Event | Job, value: float | Mapping[str, float] | None = None, *, done: bool = False
    ) -> list[Action]:
        """Take an event and return the decisions that follow from it.

        Args:
            event: An event; or, in an own loop, the job that ``ask`` gave.
            value: With a job: its metric, or a mapping that holds it.
            done: With a job: the trial cannot be trained any further.

        Returns:
            ``Promote``, ``Stop``, ``Release`` in this order, and ``Finish`` at the very end. Durable record first,
            effect second: a checkpoint may be deleted only after its ``Release`` is safe.

        Raises:
            UserError: The event does not belong to the attempt that holds the lease; nothing has changed.
            MetricError: The metric is missing or not a number; nothing has changed.
        """
        if isinstance(event, Start | Resume):
            event = self._reported(event, value, done=done)
        if not self.is_current(event):
            msg = (
                f"trial {event.trial}, segment {segment_to_json(event.segment)}, attempt {event.attempt} is not in "
                "flight: a result counts once, for the attempt that `ask` leased last"
            )
            raise UserError(msg)
        if isinstance(event, Reported):
            actions = self._on_reported(event)
        elif isinstance(event, Failed):
            actions = self._on_failed(event)
        else:
            actions = self._on_lost(event)
        if self.finished and not self._finish_told:
            self._finish_told = True
            actions.append(Finish())
        return actions

    def _reported(self, job: Job, value: float | Mapping[str, float] | None, *, done: bool) -> Reported:
        if value is None:
            msg = f"tell(job, value) needs the value of `{self.metric}`"
            raise MetricError(msg)
        metrics = value if isinstance(value, Mapping) else {self.metric: value}
        return Reported(job.trial, job.segment, job.attempt, metrics, None, job.segment.stop, done)

    def _on_reported(self, event: Reported) -> list[Action]:
        value = read_metric(event.metrics, self.metric)
        trial = self.trials[event.trial]
        trial.status = Status.PAUSED
        self._in_flight -= 1
        score = self._sign * value if math.isfinite(value) else None
        superseded = [trial.checkpoint]
        trial.checkpoint = event.checkpoint
        if score is not None:
            superseded.append(self._offer_best(event, value))
        if self.sampler.adaptive:
            self._history.append(Observation(trial.id, trial.config or {}, event.resource, score))
        verdicts = self._state.tell(Outcome(trial.id, event.segment, score, done=event.done))
        return self._apply(verdicts, superseded)

    def _offer_best(self, event: Reported, value: float) -> Checkpoint | None:
        """Make the result the incumbent if it is better; return the checkpoint that is no longer the best one."""
        best = self.best
        if best is not None:
            ours = (-event.resource, self._sign * value, event.trial)
            if ours >= (-best.resource, self._sign * best.value, best.trial):
                return None
        config = self.trials[event.trial].config or {}
        self.best = Best(event.trial, event.resource, value, event.checkpoint, config)
        return best.checkpoint if best else None

    def _on_failed(self, event: Failed) -> list[Action]:
        self._in_flight -= 1
        self.trials[event.trial].status = Status.PAUSED
        return self._apply(self._state.tell(Outcome(event.trial, event.segment, None, failed=True)), [])

    def _on_lost(self, event: Lost) -> list[Action]:
        trial = self.trials[event.trial]
        if event.cause not in (LossCause.DRIVER, LossCause.STORAGE):
            trial.losses += 1
        if trial.losses >= self.max_losses:
            message = f"lost {trial.losses} times ({event.cause}): {event.message}"
            return self._on_failed(Failed(trial.id, event.segment, event.attempt, FailureKind.KILLED, message))
        self._in_flight -= 1
        trial.status = Status.WAITING
        heapq.heappush(self._retries, trial.id)
        return []

    def _apply(self, verdicts: list[Verdict], superseded: list[Checkpoint | None]) -> list[Action]:
        """Turn rank decisions into actions, end the trials they end, and release what nobody can need any more."""
        actions: list[Action] = []
        for verdict in verdicts:
            cutoff = None if verdict.cutoff is None else self._sign * verdict.cutoff
            actions.append(replace(verdict, cutoff=cutoff))
            if isinstance(verdict, Stop):
                superseded.append(self._end(self.trials[verdict.trial], verdict.reason))
        free = (c for c in dict.fromkeys(superseded) if c is not None and not self.holds(c))
        actions.extend(map(Release, free))
        return actions

    def _end(self, trial: Trial, reason: StopReason) -> Checkpoint | None:
        """Move a trial to its terminal state and return the checkpoint it does not need any more."""
        states = {
            StopReason.RANK: Status.STOPPED,
            StopReason.COMPLETED: Status.COMPLETED,
            StopReason.FAILED: Status.FAILED,
        }
        trial.status = states[reason]
        checkpoint, trial.checkpoint, trial.config = trial.checkpoint, None, None
        return checkpoint

    # --- snapshot and laws -------------------------------------------------------------------

    def snapshot(self) -> Json:
        """Return the whole state as a plain JSON object (configs included, checkpoints by handle)."""
        return {
            "scheduler": self._state.snapshot(),
            "trials": [trial.to_json() for trial in self.trials.values()],
            "best": self.best
            and [
                self.best.trial,
                self.best.resource,
                self.best.value,
                checkpoint_to_json(self.best.checkpoint),
                self.best.config,
            ],
            "history": [[o.trial, o.config, o.resource, o.score] for o in self._history],
            "finish_told": self._finish_told,
        }

    def restore(self, snapshot: Json) -> None:
        """Take over a snapshot of a search that was built with the same arguments."""
        self._state.restore(snapshot["scheduler"])
        self.trials = {row[0]: Trial.from_json(row) for row in snapshot["trials"]}
        best = snapshot["best"]
        self.best = best and Best(best[0], best[1], best[2], checkpoint_from_json(best[3]), best[4])
        self._history = [Observation(*row) for row in snapshot["history"]]
        self._retries = sorted(t.id for t in self.trials.values() if t.status is Status.WAITING)
        self._in_flight = sum(t.status is Status.RUNNING for t in self.trials.values())
        self._finish_told = snapshot["finish_told"]

    def check_invariants(self) -> None:
        """Raise ``InvariantError`` if a law of the search does not hold. O(trials): for tests."""
        self._state.check_invariants()
        running = sum(t.status is Status.RUNNING for t in self.trials.values())
        waiting = sorted(t.id for t in self.trials.values() if t.status is Status.WAITING)
        firsts = (*self.plan.first_trials(), self.plan.trials)
        laws = {
            "segments in flight = trials that run": running == self._in_flight,
            "trials to retry = trials that wait": waiting == sorted(self._retries),
            "a trial that ended holds neither config nor checkpoint": all(
                t.config is None and t.checkpoint is None for t in self.trials.values() if t.status in TERMINAL
            ),
            "a trial belongs to the bracket of its id": all(
                firsts[t.segment.bracket] <= t.id < firsts[t.segment.bracket + 1] for t in self.trials.values()
            ),
            "only trials with a checkpoint or a first segment run": all(
                t.checkpoint is None or t.checkpoint.trial == t.id for t in self.trials.values()
            ),
            "a finished search has ended every trial": not self.finished
            or all(t.status in TERMINAL for t in self.trials.values()),
        }
        broken = [law for law, holds in laws.items() if not holds]
        if broken:
            msg = f"broken: {'; '.join(broken)}. State: {self.snapshot()}"
            raise InvariantError(msg)
