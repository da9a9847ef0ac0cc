"""How long a plan takes, if every unit of resource takes the same time."""

import heapq

from hyperband.planning import Plan
from hyperband.schedulers import Outcome, Scheduler, Slot


def makespan(scheduler: Scheduler, plan: Plan, workers: int, seconds_per_unit: float) -> float:
    """Return the seconds from the first segment to the last decision: the real scheduler, played in virtual time.

    Args:
        scheduler: What decides.
        plan: What it decides about.
        workers: How many segments run at a time, >= 1.
        seconds_per_unit: > 0.
    """
    state = scheduler.begin(plan)
    running: list[tuple[float, int, Slot]] = []
    now, count = 0.0, 0
    while not state.finished:
        while len(running) < workers:
            slot = state.ask()
            if slot is None:
                break
            heapq.heappush(running, (now + slot.segment.units * seconds_per_unit, count, slot))
            count += 1
        now, _, slot = heapq.heappop(running)
        # Which trials win does not matter for the time: all trials of a rung take equally long.
        state.tell(Outcome(slot.trial, slot.segment, float(slot.trial)))
    return now
