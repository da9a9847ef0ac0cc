"""Layer 5: executors run segments. ``ray`` is imported only when it is asked for."""

from hyperband.errors import ConfigurationError, UnknownNameError, suggest
from hyperband.executors.base import Batch, Executor, Returned, Work, require_resources_mapping
from hyperband.executors.curves import RecordedCurves
from hyperband.executors.inline import Inline
from hyperband.executors.simulated import Simulated

EXECUTORS = ("ray", "inline")


def resolve_executor(executor: object, *, max_concurrent: int | None = None, worker_output: bool = False) -> Executor:
    """Return the executor that an argument ``executor`` stands for.

    Args:
        executor: ``"ray"``, ``"inline"`` or an executor object (``Simulated(workers=16)``).
        max_concurrent: Most workers, for ``"ray"``.
        worker_output: Whether to show what workers print, for ``"ray"``.

    Raises:
        UnknownNameError: There is no executor of this name.
        ConfigurationError: It is neither a name nor an executor, or ``max_concurrent`` makes no sense with it.
    """
    if executor == "ray":
        from hyperband.executors.ray import Ray  # noqa: PLC0415 - importing Ray takes a second

        return Ray(max_concurrent=max_concurrent, worker_output=worker_output)
    if max_concurrent not in (None, 1):
        msg = f"`max_concurrent` is {max_concurrent}, which only executor='ray' can be told here"
        raise ConfigurationError(msg)
    if executor == "inline":
        return Inline()
    if isinstance(executor, str):
        msg = f"`executor` is {executor!r}, which is not known.{suggest(executor, EXECUTORS)}"
        raise UnknownNameError(msg)
    if not isinstance(executor, Executor):
        msg = f"`executor` is {executor!r}, must be 'ray', 'inline' or an executor object"
        raise ConfigurationError(msg)
    return executor


__all__ = [
    "EXECUTORS",
    "Batch",
    "Executor",
    "Inline",
    "RecordedCurves",
    "Returned",
    "Simulated",
    "Work",
    "require_resources_mapping",
    "resolve_executor",
]
