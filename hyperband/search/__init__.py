"""Layer 3: space, sampler and scheduler composed into one pure machine."""

from hyperband.search.core import MAX_LOSSES, Search
from hyperband.search.metric import Mode, read_metric, require_metric, require_mode
from hyperband.search.trials import TERMINAL, Best, Status, Trial

__all__ = [
    "MAX_LOSSES",
    "TERMINAL",
    "Best",
    "Mode",
    "Search",
    "Status",
    "Trial",
    "read_metric",
    "require_metric",
    "require_mode",
]
