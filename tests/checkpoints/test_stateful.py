"""Laws of reading a live object's state and putting it back in place."""

import collections
import copy
import random
import threading
import types
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from hyperband.checkpoints import capture, decode, encode, restore
from hyperband.errors import StateError


class Agent:
    """An object with attributes and nothing else."""

    def __init__(self) -> None:
        self.weights = np.arange(3.0)
        self.step = 1


class Slotted:
    """An object with slots, one of them unset."""

    __slots__ = ("__secret", "later", "step")

    def __init__(self) -> None:
        self.step = 1
        self.__secret = 5

    def values(self) -> tuple[Any, ...]:
        """Everything in it."""
        return self.step, self.__secret, getattr(self, "later", None)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A value that is frozen to its user."""

    items: list[int]


class Own:
    """An object that says itself what its state is."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.step = 1

    def __getstate__(self) -> dict[str, int]:
        return {"step": self.step}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.step = state["step"]


class Half:
    """Only half of the pair."""

    def __init__(self) -> None:
        self.step = 1
        self.cache = "big"

    def __getstate__(self) -> dict[str, Any]:
        return {"step": self.step, "cache": None}


def through(obj: Any) -> Any:
    """The captured state after a trip through bytes."""
    return decode(encode("state", capture(obj, "state")))


CASES: dict[str, tuple[Any, Any, Any]] = {
    "generator": (np.random.default_rng(1), lambda g: g.random(3), lambda g: g.random(3).tolist()),
    "philox": (np.random.Generator(np.random.Philox(1)), lambda g: g.random(3), lambda g: g.random(3).tolist()),
    "random_state": (np.random.RandomState(1), lambda g: g.randn(3), lambda g: g.randn(3).tolist()),
    "random": (random.Random(1), lambda g: g.gauss(0, 1), lambda g: [g.gauss(0, 1) for _ in range(3)]),
    "torch_generator": (
        torch.Generator().manual_seed(1),
        lambda g: torch.rand(3, generator=g),
        lambda g: torch.rand(3, generator=g).tolist(),
    ),
    "dict": ({"a": 1}, lambda d: d.update(b=2), dict),
    "counter": (collections.Counter("aab"), lambda c: c.update("zz"), dict),
    "defaultdict": (collections.defaultdict(list, a=[1]), lambda d: d["b"].append(2), dict),
    "list": ([1, [2]], lambda items: items.append(3), copy.deepcopy),
    "deque": (collections.deque([1, 2], maxlen=2), lambda d: d.append(3), list),
    "set": ({1, 2}, lambda s: s.add(3), sorted),
    "bytearray": (bytearray(b"ab"), lambda b: b.append(3), bytes),
    "array": (np.arange(4.0), lambda a: a.__imul__(2), np.ndarray.tolist),
    "tensor": (torch.arange(4.0), lambda t: t.mul_(2), torch.Tensor.tolist),
    "parameter": (torch.nn.Parameter(torch.ones(2)), lambda p: p.data.mul_(2), lambda p: p.detach().tolist()),
    "model": (torch.nn.Linear(2, 1), lambda m: m.weight.data.mul_(2), lambda m: m.weight.detach().tolist()),
    "attributes": (Agent(), lambda a: setattr(a, "step", 2), lambda a: (a.step, a.weights.tolist(), sorted(vars(a)))),
    "new_attribute": (Agent(), lambda a: setattr(a, "extra", 2), lambda a: sorted(vars(a))),
    "slots": (Slotted(), lambda s: (setattr(s, "step", 2), setattr(s, "later", 3)), Slotted.values),
    "frozen": (Frozen([1]), lambda f: f.items.append(2), lambda f: list(f.items)),
    "own": (Own(), lambda o: setattr(o, "step", 2), lambda o: o.step),
    "half": (Half(), lambda h: setattr(h, "step", 2), lambda h: h.step),
    "namespace": (types.SimpleNamespace(a=1), lambda n: setattr(n, "a", 2), vars),
}


@pytest.mark.parametrize("case", CASES)
def test_a_restored_object_is_the_same_object_in_the_saved_state(case: str) -> None:
    """Captured, changed, restored: it looks as if it had never been changed, and every reference is still good."""
    obj, change, look = CASES[case]
    state = through(obj)
    expected = copy.deepcopy(look(obj))  # a generator moves by being looked at, so nothing is compared before the end
    change(obj)
    changed = copy.deepcopy(look(obj))
    restore(obj, state, "state")
    assert look(obj) == expected
    assert changed != expected


@pytest.mark.parametrize(
    "obj",
    [
        1,
        1.5,
        "text",
        b"bytes",
        (1, 2),
        None,
        True,
        frozenset(),
        np.float64(1),
        range(3),
        len,
        lambda: 1,
        Agent,
        types,
        iter([]),
    ],
    ids=repr,
)
def test_what_cannot_be_changed_in_place_is_refused(obj: Any) -> None:
    """With its name, its type, and ctx.state as the way that works."""
    for call in (lambda: capture(obj, "epoch"), lambda: restore(obj, None, "epoch")):
        with pytest.raises(StateError, match=r"`epoch` is a `.*ctx\.state\[\"epoch\"\]"):
            call()


def test_a_container_of_models_is_refused() -> None:
    """After a resume it would hold copies, and the user's own models would be untrained."""
    for container in ({"g": torch.nn.Linear(1, 1)}, [torch.nn.Linear(1, 1)]):
        with pytest.raises(StateError, match="state of its own; hand it over under its own name"):
            capture(container, "nets")


@pytest.mark.parametrize(
    ("obj", "state"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros(3, dtype=np.float32)),
        (np.zeros(3), [0, 0, 0]),
        (torch.zeros(3), torch.zeros(4)),
        (torch.zeros(3), torch.zeros(3, dtype=torch.float64)),
        ({"a": 1}, [1]),
        ([1], {"a": 1}),
        ({1}, [1]),
        (Agent(), {"step": 3}),
        (torch.nn.Linear(2, 1), torch.nn.Linear(3, 1).state_dict()),
        (np.random.default_rng(1), np.random.Generator(np.random.Philox(1)).bit_generator.state),
        (random.Random(1), (1, 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_state_that_does_not_fit_is_refused_by_name(obj: Any, state: Any) -> None:
    """And containers keep what they had."""
    before = copy.deepcopy(obj) if isinstance(obj, dict | list | set) else None
    with pytest.raises(StateError, match="`thing`"):
        restore(obj, state, "thing")
    assert before is None or obj == before


def test_an_error_of_the_objects_own_method_is_reported_with_its_name() -> None:
    """A state_dict that raises."""
    words = "no"

    class Broken:
        def state_dict(self) -> Any:
            raise ValueError(words)

        def load_state_dict(self, state: Any) -> None: ...

    with pytest.raises(StateError, match=r"the state of `net`.*ValueError: no"):
        capture(Broken(), "net")


# --- the point of it all: 0 -> a -> b equals 0 -> b --------------------------------------------


def build() -> dict[str, Any]:
    """A small network with dropout, its optimizer and its learning rate schedule."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.3), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    return {
        "model": model,
        "optimizer": optimizer,
        "schedule": schedule,
        "history": [],
        "batches": np.random.default_rng(5),
    }


def train(parts: dict[str, Any], steps: int) -> None:
    """Some steps on random batches."""
    for _ in range(steps):
        x = torch.from_numpy(parts["batches"].random((16, 4), dtype=np.float32))
        loss = (parts["model"](x) - x.sum(1, keepdim=True)).square().mean()
        parts["optimizer"].zero_grad()
        loss.backward()
        parts["optimizer"].step()
        parts["schedule"].step()
        parts["history"].append(loss.item())


def state_after(first: int, second: int, dropped: str | None = None) -> dict[str, Any]:
    """Train, save, rebuild, restore all but ``dropped``, train on; return everything that can be seen."""
    with torch.random.fork_rng():
        parts = build()
        train(parts, first)
        saved = {name: encode(name, capture(obj, name)) for name, obj in parts.items()}
        saved["@torch"] = encode("@torch", torch.get_rng_state())
        parts = build()
        for name, obj in parts.items():
            if name != dropped:
                restore(obj, decode(saved[name]), name)
        if dropped != "@torch":
            torch.set_rng_state(decode(saved["@torch"]))
        train(parts, second)
        weights = [parameter.detach().numpy().tobytes() for parameter in parts["model"].parameters()]
        return {"weights": weights, "history": parts["history"], "rate": parts["schedule"].get_last_lr()}


def test_training_in_two_segments_equals_training_in_one() -> None:
    """Bit for bit: weights, losses and learning rate."""
    whole = state_after(0, 7)
    for first in (1, 3, 6):
        assert state_after(first, 7 - first) == whole


@pytest.mark.parametrize("dropped", ["model", "optimizer", "schedule", "history", "batches", "@torch"])
def test_the_comparison_notices_each_part_that_is_dropped(dropped: str) -> None:
    """So the law above is able to fail."""
    assert state_after(3, 4, dropped) != state_after(0, 7)
