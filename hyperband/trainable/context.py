"""What a trainable sees while it trains one segment: its config, its data, the steps to take, where to report.

The context does no file I/O. It asks a ``StatePort`` to restore and to save, which the worker that runs the segment
provides; so the contract with user code can be read, and tested, without checkpoints, executors or Ray.
"""

import logging
import numbers
import operator
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from hyperband.errors import MetricError, TrainableError
from hyperband.messages import Config, Segment

#: Most metrics in one report, and most characters in a name: they travel through the journal.
MAX_METRICS, MAX_NAME = 1000, 300


class StatePort(Protocol):
    """How a context reaches the state of its trial. All names are keys of the checkpoint."""

    @property
    def resuming(self) -> bool:
        """Whether there is a checkpoint to continue from."""
        ...

    def restore(self, objects: Mapping[str, object]) -> None:
        """Bring live objects back to the saved state, in place."""
        ...

    def load(self, name: str) -> Any:
        """Return a saved value."""
        ...

    def restore_context(self) -> dict[str, Any]:
        """Bring the random number generators back and return ``ctx.state``; call it last before training goes on."""
        ...

    def capture(self, objects: Mapping[str, object], state: Mapping[str, Any]) -> None:
        """Take a copy of live objects, ``ctx.state`` and the random number generators as they are now."""
        ...

    def save(self, values: Mapping[str, object], state: Mapping[str, Any]) -> None:
        """Like ``capture``, for values that are saved as they are."""
        ...


class Context:
    """One segment of one trial, as its trainable sees it.

    Attributes:
        config: The hyperparameters; a private copy, free to change.
        trial: Id of the trial.
        bracket, rung: Where the segment ends.
        resource: Units trained so far; grows by one with each step.
        target: Units trained when the segment ends.
        seed: The trial's own seed, for generators that the package does not know.
        data: What ``run(data=...)`` gave; shared by all trials of a machine, treat it as read-only.
        state: A dict that is saved and restored with the trial; for numbers, strings and other small things.
        logger: A standard logger named ``hyperband.trial``.
    """

    def __init__(
        self, trial: int, config: Config, segment: Segment, *, port: StatePort, seed: int = 0, data: Any = None
    ) -> None:
        self.config = config
        self.trial = trial
        self.bracket = segment.bracket
        self.rung = segment.rung
        self.resource = segment.start
        self.target = segment.stop
        self.seed = seed
        self.data = data
        self.state: dict[str, Any] = {}
        self.logger = logging.getLogger("hyperband.trial")
        self.port = port
        self.loop: Steps | None = None
        self._metrics: dict[str, float] = {}
        self._curve: list[tuple[int, dict[str, float]]] = []

    def steps(self, *unnamed: object, **objects: object) -> "Steps":
        """Iterate over the units of resource this segment has to train.

        On the first step the objects are brought to the state they had when the trial was paused (and so are
        the random number generators of Python, numpy and torch); after the last one everything is saved.
        Code after the loop runs at the end of every segment; what it changes is not saved.

        Args:
            *unnamed: None; every object needs a name.
            **objects: What the training changes, by name: anything with ``state_dict``/``load_state_dict``
                (modules, optimizers, schedulers, scalers), numpy and torch generators, dicts, lists, arrays, and
                other objects that can be pickled. Numbers and strings belong into ``ctx.state``.

        Returns:
            An iterator over the index of each unit: ``resource``, ..., ``target - 1``.

        Raises:
            TrainableError: It was called before in this segment, or with objects that have no name.
        """
        if unnamed:
            msg = "`ctx.steps` takes its objects by name, e.g. ctx.steps(model=model, optimizer=optimizer)"
            raise TrainableError(msg)
        if self.loop is not None:
            msg = "`ctx.steps` was called twice in one segment; hand all objects to one call"
            raise TrainableError(msg)
        self.loop = Steps(self, objects)
        return self.loop

    def report(self, metrics: object = None, /, **more: object) -> None:
        """Report metrics of the current unit; the last value of each key in the segment counts.

        Args:
            metrics: A mapping of names to real numbers (0-d arrays and tensors are fine).
            **more: The same as keywords.

        Raises:
            MetricError: A value is not a real number.
        """
        if metrics is not None and not isinstance(metrics, Mapping):
            msg = f"`ctx.report` takes metrics by name, e.g. ctx.report(loss={_short(metrics)})"
            raise MetricError(msg)
        numbers_ = as_numbers({**(metrics or {}), **more})
        self._metrics.update(numbers_)
        unit = self.resource + 1 if self.loop is not None and self.loop.inside else self.resource
        self._curve.append((unit, numbers_))

    @property
    def reported(self) -> dict[str, float]:
        """Last value of each metric reported in this segment."""
        return self._metrics

    @property
    def curve(self) -> list[tuple[int, dict[str, float]]]:
        """Everything reported in this segment as (resource, metrics)."""
        return self._curve


class Steps(Iterator[int]):
    """The loop of a segment; restores before the first step and saves after the last."""

    def __init__(self, ctx: Context, objects: Mapping[str, object]) -> None:
        self._ctx = ctx
        self._objects = objects
        self.inside = False  #: a step is being taken
        self.started = False
        self.saved = False

    def __iter__(self) -> "Steps":
        return self

    def __next__(self) -> int:
        ctx = self._ctx
        if self.inside:
            ctx.resource += 1
        elif not self.started:
            self.started = True
            if ctx.port.resuming:
                ctx.port.restore(self._objects)
                ctx.state.update(ctx.port.restore_context())
        self.inside = ctx.resource < ctx.target
        if self.inside:
            return ctx.resource
        self.save()
        raise StopIteration

    def save(self) -> None:
        """Take the copy that becomes the checkpoint; only the first call does anything."""
        if not self.saved:
            self.saved = True
            self._ctx.port.capture(self._objects, self._ctx.state)


def as_numbers(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return the metrics as plain Python numbers.

    Args:
        metrics: Names to ints, floats, numpy scalars, 0-d arrays or tensors.

    Raises:
        MetricError: A value is not a real number; the message names the metric and its type.
    """
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        number = _scalar(value)
        if isinstance(number, bool) or not isinstance(number, numbers.Real):
            shown = f"{type(value).__name__} ({_short(value)})"
            msg = f"the metric `{name}` is a {shown}; report a real number, e.g. float(...)"
            raise MetricError(msg)
        try:
            plain[str(name)] = float(number)
        except OverflowError:
            msg = f"the metric `{_short(name)}` is an integer too large for a float; report a real number"
            raise MetricError(msg) from None
        if hasattr(number, "__index__") and abs(plain[str(name)]) < 2**53:
            plain[str(name)] = operator.index(number)
    if len(plain) > MAX_METRICS or any(len(name) > MAX_NAME for name in plain):
        msg = f"{len(plain)} metrics were reported; at most {MAX_METRICS}, with names of at most {MAX_NAME} characters"
        raise MetricError(msg)
    return plain


def _scalar(value: object) -> object:
    """Return the Python number inside a numpy scalar, a one-element array or tensor; other things as they are."""
    item = getattr(value, "item", None)
    if not callable(item):
        return value
    try:
        return item()
    except (TypeError, ValueError, RuntimeError):  # more than one element
        return value


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
