"""The metric at the border: checked and given its direction once, here, and nowhere else."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from hyperband.errors import ConfigurationError, MetricError

Mode: TypeAlias = Literal["min", "max"]


def require_metric(metric: object) -> str:
    """Return ``metric`` if it is a usable key.

    Raises:
        ConfigurationError: It is not a non-empty string.
    """
    if not isinstance(metric, str) or not metric:
        msg = f"`metric` is {metric!r}, must be the key under which the trainable reports its value, e.g. 'accuracy'"
        raise ConfigurationError(msg)
    return metric


def require_mode(mode: object) -> Mode:
    """Return ``mode`` if it is a direction.

    Raises:
        ConfigurationError: It is neither ``"min"`` nor ``"max"``.
    """
    if mode == "min" or mode == "max":  # noqa: PLR1714 - the type checker narrows `==` only
        return mode
    word = str(mode).lower()[:3]
    near = word if word in ("min", "max") else ""
    hint = f"; write mode={near!r}" if near else ""
    msg = f"`mode` is {mode!r}, must be 'min' or 'max'{hint}"
    raise ConfigurationError(msg)


def read_metric(metrics: Mapping[str, float], metric: str) -> float:
    """Return the metric as a float; NaN and infinities are values too.

    Raises:
        MetricError: It is missing (names the keys seen) or not a real number (names its type).
    """
    if metric not in metrics:
        seen = ", ".join(f"`{key}`" for key in metrics) or "nothing"
        msg = f"the metric `{metric}` was not reported; reported was: {seen}. Report it, or name another metric"
        raise MetricError(msg)
    value = metrics[metric]
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = (
            f"the metric `{metric}` is {value!r} of type {type(value).__name__}; must be a real number (use float(...))"
        )
        raise MetricError(msg)
    return float(value)
