"""Continuation is exact, bit for bit, for every shape, in one process and across two; and what is dropped is found."""

from typing import Any

import pytest
import torch
from torch import nn

import hyperband as hb
from hyperband.check import differences
from hyperband.errors import ConfigurationError, StateError, TrainableError
from hyperband.testing.trainables import NoisyObject, chain, noisy_loop

SPACE = {"lr": hb.loguniform(1e-3, 1e-2), "x": hb.uniform(0, 1)}


def build(lr: float) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    """A network with everything that has a state: dropout, batch norm, momentum, a schedule."""
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 3)


def train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """One unit: a batch of noise."""
    model.train()
    x = torch.randn(32, 6)
    loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def loop(ctx: hb.Context) -> None:
    """Shape 1."""
    model, optimizer, schedule = build(ctx.config["lr"])
    for _ in ctx.steps(model=model, optimizer=optimizer, schedule=schedule):
        ctx.report(loss=train_epoch(model, optimizer))
        schedule.step()


def function(config: dict[str, Any], state: Any, resource: int) -> Any:
    """Shape 2: the state is the objects themselves; building new ones would use up random numbers."""
    model, optimizer, schedule = build(config["lr"]) if state is None else state
    loss = 0.0
    for _ in range(resource):
        loss = train_epoch(model, optimizer)
        schedule.step()
    return {"loss": loss}, (model, optimizer, schedule)


class Object(hb.Trainable):
    """Shape 3, with self.state."""

    def setup(self, config: dict[str, Any], ctx: hb.Context) -> None:
        """Build."""
        self.model, self.optimizer, self.schedule = build(config["lr"])
        self.state = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}

    def step(self) -> dict[str, float]:
        """One epoch."""
        loss = train_epoch(self.model, self.optimizer)
        self.schedule.step()
        return {"loss": loss}


class Saving(Object):
    """Shape 3, with save and load of its own."""

    def save(self) -> Any:
        """Everything."""
        return {name: part.state_dict() for name, part in self.state.items()}

    def load(self, state: Any) -> None:
        """Everything."""
        for name, part in self.state.items():
            part.load_state_dict(state[name])


@pytest.mark.parametrize("trainable", [loop, function, Object, Saving, chain, noisy_loop, NoisyObject])
def test_in_pieces_equals_in_one_go(trainable: object) -> None:
    """0 -> 2 -> 5 is 0 -> 5, in the same worker and through a fresh process."""
    report = hb.check_trainable(trainable, SPACE)
    assert report.ok, str(report)
    report.require()


def drops_optimizer(ctx: hb.Context) -> None:
    """Forgets to hand the optimizer over."""
    model, optimizer, _ = build(ctx.config["lr"])
    for _ in ctx.steps(model=model):
        ctx.report(loss=train_epoch(model, optimizer))


def drops_schedule(ctx: hb.Context) -> None:
    """Forgets the learning-rate schedule."""
    model, optimizer, schedule = build(ctx.config["lr"])
    for _ in ctx.steps(model=model, optimizer=optimizer):
        ctx.report(loss=train_epoch(model, optimizer))
        schedule.step()


def reseeds(ctx: hb.Context) -> None:
    """Sets the seed at the start of each segment."""
    model, optimizer, schedule = build(ctx.config["lr"])
    first = True
    for _ in ctx.steps(model=model, optimizer=optimizer, schedule=schedule):
        if first:
            torch.manual_seed(0)
            first = False
        ctx.report(loss=train_epoch(model, optimizer))


class DropsOptimizer(Saving):
    """Saves the model alone."""

    def save(self) -> Any:
        """Not everything."""
        return {"model": self.model.state_dict()}

    def load(self, state: Any) -> None:
        """Not everything."""
        self.model.load_state_dict(state["model"])


@pytest.mark.parametrize("trainable", [drops_optimizer, drops_schedule, reseeds])
def test_what_is_dropped_is_found_in_the_same_worker_and_in_a_fresh_one(trainable: object) -> None:
    """Optimizer, schedule, random numbers."""
    report = hb.check_trainable(trainable, SPACE)
    assert not report.noise
    assert report.pieces
    assert report.fresh
    with pytest.raises(StateError, match="DIFFERENT"):
        report.require()


def test_a_class_that_saves_too_little_is_found_in_a_fresh_process() -> None:
    """In its own worker the object is still alive, so only the fresh process shows it."""
    report = hb.check_trainable(DropsOptimizer, SPACE)
    assert not report.noise
    assert not report.pieces
    assert any(line.startswith("state.model") for line in report.fresh)


def test_dropped_random_numbers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the package itself lost them, this check would notice: the law can fail."""
    from hyperband import randomness

    monkeypatch.setattr(randomness, "restore", lambda state: None)
    report = hb.check_trainable(noisy_loop, SPACE)
    assert report.pieces


def test_the_codes_own_randomness_is_not_blamed_on_the_restore() -> None:
    """Two runs of 0 -> b that differ are named as such."""
    import os

    def random_code(config: dict[str, Any], state: Any, resource: int) -> Any:
        noise = int.from_bytes(os.urandom(4), "little")
        return {"loss": noise}, noise

    report = hb.check_trainable(random_code, SPACE)
    assert report.noise
    assert "the code itself is not deterministic" in str(report)


def test_a_check_disturbs_nobodys_random_numbers() -> None:
    """The caller's own stream goes on as if nothing had happened."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    hb.check_trainable(noisy_loop, SPACE)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("resources", [(0, 3), (3, 3), (4, 2)])
def test_wrong_resources_are_named(resources: tuple[int, int]) -> None:
    """First a, then b."""
    with pytest.raises(ConfigurationError, match="resources"):
        hb.check_trainable(chain, SPACE, resources=resources)


def test_a_trainable_that_fails_is_shown_with_its_traceback() -> None:
    """Nothing can be compared."""

    def broken(ctx: hb.Context) -> None:
        for _ in ctx.steps(state={}):
            msg = "no data"
            raise ValueError(msg)

    with pytest.raises(TrainableError, match=r"(?s)no data.*Traceback"):
        hb.check_trainable(broken, SPACE)


def test_differences_are_found_wherever_they_are() -> None:
    """Bits of floats, shapes, types, missing keys, NaN against itself."""
    nan = float("nan")
    assert not list(differences({"a": [1.0, nan, torch.zeros(2)]}, {"a": [1.0, nan, torch.zeros(2)]}))
    pairs: list[tuple[Any, Any]] = [
        (0.0, -0.0),
        (1, 1.0),
        ({"a": 1}, {}),
        ([1], [1, 2]),
        (torch.zeros(2), torch.zeros(3)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.tensor([0.0]), torch.tensor([-0.0])),
        (torch.zeros(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.bfloat16)),
        ("a", "b"),
        (None, 0),
    ]
    for left, right in pairs:
        assert list(differences({"x": left}, {"x": right})), (left, right)
