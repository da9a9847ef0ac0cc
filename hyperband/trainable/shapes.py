"""The three shapes of a trainable, and one adapter for each.

1. ``train(ctx)``: a function around an existing loop, with ``for step in ctx.steps(model=model, ...)`` in it.
2. ``train(config, state, resource) -> (metrics, state)``: state in, state out, as in the Ray tutorial.
3. A class with ``setup``, ``step``, ``save``, ``load``, kept alive in its worker while it is promoted there.

An adapter trains exactly one segment. It knows nothing of files, attempts or executors.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from hyperband.errors import TrainableError
from hyperband.messages import Config
from hyperband.trainable.context import Context, as_numbers

_SHAPES = (
    "a trainable is (1) a function train(ctx) that loops over ctx.steps(...), (2) a function "
    "train(config, state, resource) that returns (metrics, state), or (3) a subclass of hyperband.Trainable"
)


class Trainable:
    """Base of the third shape: an object that can take one step, save and load.

    Override ``setup`` and ``step``. For the state, either put what training changes into ``self.state`` (a dict of
    objects with ``state_dict``/``load_state_dict`` or anything else that ``ctx.steps`` accepts), or override ``save``
    and ``load``. An object lives for many segments of one trial, never for two trials.
    """

    def __init__(self) -> None:
        self.state: dict[str, object] = {}

    def setup(self, config: Config, ctx: Context) -> None:
        """Build everything for a trial that has not been trained yet; called once per object."""

    def step(self) -> Mapping[str, float]:
        """Train one unit of resource and return its metrics."""
        raise NotImplementedError

    def save(self) -> object:
        """Return the state as a value that can be pickled; by default that of the objects in ``self.state``."""
        return NotImplemented

    def load(self, state: Any) -> None:
        """Take over a state that ``save`` returned, after ``setup``."""
        raise NotImplementedError


class Adapter(Protocol):
    """One shape of trainable."""

    shape: ClassVar[str]

    def train(self, ctx: Context, live: object | None) -> tuple[bool, object | None]:
        """Train the segment of ``ctx``.

        Args:
            ctx: The segment; its port holds the state to continue from.
            live: What an earlier call returned for the same trial at the same resource, or None.

        Returns:
            Whether the trial ended by itself before the target, and what to keep alive for its next segment.

        Raises:
            TrainableError: The user's code broke the contract of its shape.
        """
        ...


class LoopAdapter:
    """``train(ctx)``."""

    shape: ClassVar[str] = "loop"

    def __init__(self, function: Callable[[Context], object]) -> None:
        self._function = function

    def train(self, ctx: Context, live: object | None) -> tuple[bool, None]:  # noqa: ARG002 - a function call cannot stay alive
        """Call the function; leaving the loop early means that the trial ended by itself."""
        self._function(ctx)
        steps = ctx.loop
        if steps is None or not steps.started:
            msg = f"{_name(self._function)} returned without iterating over ctx.steps(...), so nothing was trained"
            raise TrainableError(msg)
        early = not steps.saved
        if early:
            ctx.resource += steps.inside  # the unit in which `break` stood was trained
            steps.save()
        return early and ctx.resource < ctx.target, None


class FunctionAdapter:
    """``train(config, state, resource) -> (metrics, state)``."""

    shape: ClassVar[str] = "function"

    def __init__(self, function: Callable[[Config, Any, int], Any]) -> None:
        self._function = function

    def train(self, ctx: Context, live: object | None) -> tuple[bool, None]:  # noqa: ARG002 - the state is the whole truth
        """Hand the state in and take the new one out."""
        state = None
        if ctx.port.resuming:
            state = ctx.port.load("state")
            ctx.port.restore_context()
        returned = self._function(ctx.config, state, ctx.target - ctx.resource)
        if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], Mapping)):
            kind = type(returned).__name__
            msg = f"{_name(self._function)} returned {kind}, must return (metrics, state), metrics a dict"
            raise TrainableError(msg)
        metrics, new_state = returned
        if new_state is None:
            msg = (
                f"{_name(self._function)} returned None as its state, with which no trial can be continued; "
                "return what training has changed (any picklable object)"
            )
            raise TrainableError(msg)
        ctx.resource = ctx.target
        ctx.report(as_numbers(metrics))
        ctx.port.save({"state": new_state}, {})
        return False, None


@dataclass(frozen=True, slots=True)
class _Living:
    """An object between two segments, and the context its ``setup`` may have kept."""

    trainable: Trainable
    ctx: Context


class ClassAdapter:
    """A subclass of ``Trainable``."""

    shape: ClassVar[str] = "class"

    def __init__(self, cls: Callable[[], Trainable]) -> None:
        self._cls = cls

    def train(self, ctx: Context, live: object | None) -> tuple[bool, "_Living"]:
        """Step a living object on, or build one and load its state."""
        port = ctx.port
        if isinstance(live, _Living):
            trainable = live.trainable
            live.ctx.__dict__ = ctx.__dict__  # the context that setup() saw is the one of this segment from now on
        else:
            trainable = self._build(ctx)
        if port.resuming:
            ctx.state.update(port.restore_context())
        while ctx.resource < ctx.target:
            metrics: object = trainable.step()
            if not isinstance(metrics, Mapping):
                kinds = f"{type(trainable).__name__}.step() returned {type(metrics).__name__}"
                msg = f"{kinds}, must return a dict of metrics"
                raise TrainableError(msg)
            ctx.resource += 1
            ctx.report(metrics)
        state = trainable.save()
        if state is NotImplemented:
            self._require_state(trainable)
            port.capture(trainable.state, ctx.state)
        else:
            port.save({"state": state}, ctx.state)
        return False, live if isinstance(live, _Living) else _Living(trainable, ctx)

    def _build(self, ctx: Context) -> Trainable:
        trainable = self._cls()
        if not hasattr(trainable, "state"):  # an __init__ that did not call super().__init__()
            trainable.state = {}
        trainable.setup(ctx.config, ctx)
        if ctx.port.resuming:
            if type(trainable).save is Trainable.save:
                ctx.port.restore(trainable.state)
            else:
                trainable.load(ctx.port.load("state"))
        return trainable

    @staticmethod
    def _require_state(trainable: Trainable) -> None:
        if not trainable.state:
            name = type(trainable).__name__
            msg = f"{name} has nothing to save: fill self.state in setup(), or override save() and load()"
            raise TrainableError(msg)


def adapt(trainable: object) -> Adapter:
    """Return the adapter for what the user handed in.

    Raises:
        TrainableError: It has none of the three shapes.
    """
    if isinstance(trainable, type):
        if issubclass(trainable, Trainable):
            return ClassAdapter(trainable)
        msg = f"the class {trainable.__name__} does not subclass hyperband.Trainable; {_SHAPES}"
        raise TrainableError(msg)
    if not callable(trainable):
        msg = f"the trainable is a {type(trainable).__name__}; {_SHAPES}"
        raise TrainableError(msg)
    required = _required_arguments(trainable)
    if required < 3 and [*inspect.signature(trainable).parameters][:3] == ["config", "state", "resource"]:
        required = 3  # train(config, state=None, resource=1): defaults do not make it another shape
    if required == 1:
        return LoopAdapter(trainable)
    if required == 3:
        return FunctionAdapter(trainable)
    msg = f"{_name(trainable)} takes {required} positional arguments, must take 1 or 3; {_SHAPES}"
    raise TrainableError(msg)


def _required_arguments(function: Callable[..., object]) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
