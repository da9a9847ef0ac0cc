"""Layer 7: what an experiment came to, read from its journal alone. Works without Ray and torch."""

from hyperband.results.explain import Explanation
from hyperband.results.result import BestResult, Result, Trials, load_result
from hyperband.results.values import Decision, Failure, RungRow, TrialResult
from hyperband.results.view import ExperimentView

__all__ = [
    "BestResult",
    "Decision",
    "ExperimentView",
    "Explanation",
    "Failure",
    "Result",
    "RungRow",
    "TrialResult",
    "Trials",
    "load_result",
]
