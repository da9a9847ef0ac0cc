"""Schedulers decide which trial trains how far. They see ids and scores, and return decisions."""

from hyperband.schedulers.base import Outcome, Scheduler, SchedulerState, Slot, Verdict
from hyperband.schedulers.fifo import FIFO
from hyperband.schedulers.hyperband import Hyperband
from hyperband.schedulers.registry import build_scheduler, known_schedulers, resolve_scheduler, scheduler_from_json
from hyperband.schedulers.successive_halving import SuccessiveHalving

__all__ = [
    "FIFO",
    "Hyperband",
    "Outcome",
    "Scheduler",
    "SchedulerState",
    "Slot",
    "SuccessiveHalving",
    "Verdict",
    "build_scheduler",
    "known_schedulers",
    "resolve_scheduler",
    "scheduler_from_json",
]
