"""Several brackets as one scheduler state: Hyperband's outer loop, without a barrier between brackets.

The paper runs bracket after bracket (Algorithm 1, line 2). Here the earliest bracket that has something to train is
served first, and only when all its trials are running does the next one open: an idle worker and a runnable segment
never coexist. Since each trial's bracket and config are fixed by its id, the result is that of the sequential loop,
whatever the number of workers.
"""

from bisect import bisect_right

from hyperband.messages import Json
from hyperband.planning import Plan
from hyperband.schedulers.base import Outcome, Slot, Verdict
from hyperband.schedulers.bracket import Bracket


class ComposedBrackets:
    """A list of synchronous brackets and the table trial -> bracket."""

    __slots__ = ("_brackets", "_firsts", "_open")

    def __init__(self, plan: Plan) -> None:
        """Create every bracket of the plan; nothing runs yet."""
        self._firsts = plan.first_trials()
        self._brackets = [
            Bracket(index, bracket, first)
            for index, (bracket, first) in enumerate(zip(plan.brackets, self._firsts, strict=True))
        ]
        self._open = 0  #: every bracket before this one is finished

    @property
    def finished(self) -> bool:
        """Whether every bracket is."""
        return self._open == len(self._brackets)

    def ask(self) -> Slot | None:
        """Return the next segment of the earliest bracket that has one."""
        for bracket in self._brackets[self._open :]:
            slot = bracket.ask()
            if slot is not None:
                return slot
        return None

    def tell(self, outcome: Outcome) -> list[Verdict]:
        """Hand the result to the bracket that owns the trial."""
        verdicts = self._brackets[bisect_right(self._firsts, outcome.trial) - 1].tell(outcome)
        while not self.finished and self._brackets[self._open].finished:
            self._open += 1
        return verdicts

    def snapshot(self) -> Json:
        """Return the state of all brackets."""
        return {"brackets": [bracket.snapshot() for bracket in self._brackets]}

    def restore(self, snapshot: Json) -> None:
        """Take over the state of a snapshot of the same plan."""
        for bracket, body in zip(self._brackets, snapshot["brackets"], strict=True):
            bracket.restore(body)
        self._open = 0
        while not self.finished and self._brackets[self._open].finished:
            self._open += 1

    def check_invariants(self) -> None:
        """Check every bracket."""
        for bracket in self._brackets:
            bracket.check_invariants()
