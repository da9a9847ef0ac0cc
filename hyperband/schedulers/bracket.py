"""One synchronous bracket: a ladder of rungs, a barrier at each, the best of a rung train on.

This is the inner loop of Algorithm 1 (Li et al., JMLR 2018, lines 4-9): line 7 runs the rung's trials to r_i, line 8
keeps the top floor(n_i / eta), which is the planned size of the next rung.

Two rules beyond the paper, because real training fails:

* The order of a rung is total: finite scores first (lower is better), then values that are not finite, then failed
  trials; ties by trial id. The result never depends on who finished first.
* Only finite scores are promoted. A rung with fewer of them than the next rung has places sends up what it has.
"""

from collections import deque

from hyperband.errors import InvariantError
from hyperband.messages import Json, Promote, Segment, Stop, StopReason
from hyperband.planning import BracketPlan
from hyperband.schedulers.base import Outcome, Slot, Verdict

_FINITE, _NOT_FINITE, _FAILED = range(3)


class Bracket:
    """State of one bracket; exactly one rung is open at a time."""

    __slots__ = ("_done", "_entered", "_first", "_fresh", "_index", "_plan", "_ready", "_results", "_rung", "_running")

    def __init__(self, index: int, plan: BracketPlan, first_trial: int) -> None:
        """Open rung 0.

        Args:
            index: Position of the bracket in the plan.
            plan: Its ladder.
            first_trial: Id of its first trial; the others follow without gaps.
        """
        self._index = index
        self._plan = plan
        self._first = first_trial
        self._rung = 0  #: the open rung; len(rungs) when the bracket is over
        self._entered = plan.n  #: trials that entered the open rung
        self._fresh = 0  #: new trials handed out so far
        self._ready: deque[int] = deque()  #: promoted trials that wait for a worker, best first
        self._running: set[int] = set()
        self._results: list[tuple[int, float, int]] = []  #: (class, score, trial) of the open rung
        self._done: set[int] = set()  #: trials that ended by themselves; they rise without training

    @property
    def finished(self) -> bool:
        """Whether the last rung is decided."""
        return self._rung == len(self._plan.rungs)

    def ask(self) -> Slot | None:
        """Return the next segment of the open rung, or None while its last trials are running."""
        if self._rung == 0 and self._fresh < self._plan.n:
            trial = self._first + self._fresh
            self._fresh += 1
        elif self._ready:
            trial = self._ready.popleft()
        else:
            return None
        self._running.add(trial)
        return Slot(trial, self._segment())

    def _segment(self) -> Segment:
        rungs = self._plan.rungs
        start = rungs[self._rung - 1].resource if self._rung else 0
        return Segment(self._index, self._rung, start, rungs[self._rung].resource)

    def tell(self, outcome: Outcome) -> list[Verdict]:
        """Record a result; when it is the last one of the rung, close the rung and return its verdicts."""
        self._running.remove(outcome.trial)
        if outcome.done:
            self._done.add(outcome.trial)
        rank_class = _FAILED if outcome.failed else _NOT_FINITE if outcome.score is None else _FINITE
        self._results.append((rank_class, 0.0 if outcome.score is None else outcome.score, outcome.trial))
        verdicts: list[Verdict] = []
        while not self.finished and len(self._results) == self._entered:
            verdicts += self._close()
        return verdicts

    def _close(self) -> list[Verdict]:
        """Rank the open rung, open the next one and let trials that cannot train further rise at once."""
        ranking = sorted(self._results)
        last = self._rung + 1 == len(self._plan.rungs)
        finite = sum(1 for rank_class, _, _ in ranking if rank_class == _FINITE)
        places = 0 if last else min(self._plan.rungs[self._rung + 1].n, finite)
        cutoff = ranking[places - 1][1] if places else None
        verdicts = [self._verdict(ranking, rank, places, cutoff) for rank in range(len(ranking))]
        self._rung += 1
        risers = [ranking[rank] for rank in range(places)]
        self._entered = places
        self._results = [result for result in risers if result[2] in self._done]
        self._ready = deque(trial for _, _, trial in risers if trial not in self._done)
        if places == 0:  # also when nothing finite was left to promote: the bracket ends early
            self._rung = len(self._plan.rungs)
        return verdicts

    def _verdict(self, ranking: list[tuple[int, float, int]], rank: int, places: int, cutoff: float | None) -> Verdict:
        rank_class, _, trial = ranking[rank]
        if rank < places:
            return Promote(trial, self._index, self._rung, rank + 1, len(ranking), cutoff)
        last = self._rung + 1 == len(self._plan.rungs)
        reason = StopReason.COMPLETED if last else StopReason.RANK
        if rank_class != _FINITE:
            reason = StopReason.FAILED
        return Stop(trial, self._index, self._rung, reason, rank + 1, len(ranking), cutoff)

    def snapshot(self) -> Json:
        """Return the state as a plain JSON object."""
        return {
            "rung": self._rung,
            "entered": self._entered,
            "fresh": self._fresh,
            "ready": list(self._ready),
            "running": sorted(self._running),
            "results": [list(result) for result in sorted(self._results)],
            "done": sorted(self._done),
        }

    def restore(self, snapshot: Json) -> None:
        """Take over the state of a snapshot."""
        self._rung = snapshot["rung"]
        self._entered = snapshot["entered"]
        self._fresh = snapshot["fresh"]
        self._ready = deque(snapshot["ready"])
        self._running = set(snapshot["running"])
        self._results = [(rank_class, score, trial) for rank_class, score, trial in snapshot["results"]]
        self._done = set(snapshot["done"])

    def check_invariants(self) -> None:
        """Slots are conserved: waiting + running + decided = entered <= planned."""
        if self.finished:
            if self._ready or self._running or self._results:
                self._broken("a finished bracket still has trials")
            return
        waiting = self._plan.n - self._fresh if self._rung == 0 else len(self._ready)
        held = waiting + len(self._running) + len(self._results)
        if held != self._entered or self._entered > self._plan.rungs[self._rung].n:
            self._broken(f"{held} trials are held where {self._entered} entered")
        decided = {trial for _, _, trial in self._results}
        if len(decided) != len(self._results) or decided & self._running:
            self._broken("a trial is counted twice")

    def _broken(self, what: str) -> None:
        msg = f"bracket {self._index}, rung {self._rung}: {what}; state {self.snapshot()}"
        raise InvariantError(msg)
