"""Laws of the worker's side: warm continuation, private randomness and threads, early ends, curves."""

from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch

import hyperband as hb
from hyperband.executors import Inline, Work
from hyperband.executors.runner import SegmentRunner
from hyperband.messages import Failed, FailureKind, Reported
from hyperband.testing.executors import resume, start
from hyperband.testing.trainables import chain


def runner(directory: Path, trainable: object, data: Any = None) -> SegmentRunner:
    """A worker."""
    directory.mkdir(exist_ok=True)
    return SegmentRunner(Work(cloudpickle.dumps(trainable), None, str(directory), "loss", 3, "none"), data)


def test_a_promoted_trial_needs_no_disk_on_the_worker_that_still_holds_it(tmp_path: Path) -> None:
    """The state in memory is the one that was committed, so the file is not read."""
    worker = runner(tmp_path, chain)
    whole = worker.run(start(1, 5)).event
    first = worker.run(start(0, 2))
    assert isinstance(first.event, Reported)
    for file in tmp_path.iterdir():
        file.unlink()
    second = worker.run(resume(first.event, 5))
    assert second.info["warm"]
    assert isinstance(second.event, Reported)
    assert isinstance(whole, Reported)
    cold = runner(tmp_path, chain).run(resume(first.event, 5))
    assert not isinstance(cold.event, Reported)


def test_every_promotion_of_one_worker_is_warm(tmp_path: Path) -> None:
    """From the journal of a whole run."""
    warm = []

    class Watch(hb.Callback):
        def on_record(self, record: dict[str, Any]) -> None:
            if record["type"] == "committed" and record["segment"][2] > 0:
                warm.append(record["info"]["warm"])

    options: dict[str, Any] = {"metric": "loss", "mode": "min", "max_resource": 9, "executor": "inline"}
    hb.run(chain, {"x": hb.uniform(0, 1)}, storage=tmp_path, progress="off", callbacks=[Watch()], **options)
    assert warm
    assert all(warm)


def test_a_class_stays_alive_while_its_trial_is_promoted_and_no_longer(tmp_path: Path) -> None:
    """setup() runs once for two segments in a row; after another trial the object is built again."""
    log: list[str] = []

    class Object(hb.Trainable):
        def setup(self, config: dict[str, Any], ctx: hb.Context) -> None:
            data_log(ctx).append(f"setup {ctx.trial}")
            self.ctx = ctx
            self.count = {"n": 0}
            self.state = {"count": self.count}

        def step(self) -> dict[str, float]:
            self.count["n"] += 1
            self.ctx.state["seen"] = self.ctx.state.get("seen", 0) + 1
            return {"loss": self.count["n"], "seen": self.ctx.state["seen"], "resource": self.ctx.resource}

    def data_log(ctx: hb.Context) -> list[str]:
        return ctx.data  # type: ignore[no-any-return]

    worker = runner(tmp_path, Object, log)
    first = worker.run(start(0, 1)).event
    second = worker.run(resume(first, 3)).event
    assert log == ["setup 0"]
    assert isinstance(second, Reported)
    assert second.metrics == {"loss": 3, "seen": 3, "resource": 2}
    worker.run(start(1, 1))
    third = worker.run(resume(second, 4)).event
    assert log == ["setup 0", "setup 1", "setup 0"]
    assert isinstance(third, Reported)
    assert third.metrics == {"loss": 4, "seen": 4, "resource": 3}


def test_leaving_the_loop_early_ends_the_trial_with_the_value_it_has(tmp_path: Path) -> None:
    """The true resource is reported; the trial is not asked for more."""

    def stops(ctx: hb.Context) -> None:
        for unit in ctx.steps(state={}):
            ctx.report(loss=unit)
            if unit == 2:
                break

    event = runner(tmp_path, stops).run(start(0, 9)).event
    assert isinstance(event, Reported)
    assert (event.resource, event.done) == (3, True)
    assert event.checkpoint is not None
    assert event.checkpoint.resource == 3
    exact = runner(tmp_path / "exact", stops).run(start(0, 3)).event
    assert isinstance(exact, Reported)
    assert (exact.resource, exact.done) == (3, False)


def test_early_ends_are_carried_through_a_whole_run(tmp_path: Path) -> None:
    """A converged trial can win without being trained to the top."""

    def converges(ctx: hb.Context) -> None:
        for unit in ctx.steps(state={}):
            ctx.report(loss=ctx.config["x"] / (unit + 1))
            if unit == 3:
                break

    options: dict[str, Any] = {"metric": "loss", "mode": "min", "max_resource": 9, "executor": "inline"}
    result = hb.run(converges, {"x": hb.uniform(0, 1)}, storage=tmp_path, progress="off", **options)
    assert result.status == "finished"
    assert result.best.resource == 4
    assert {trial.status for trial in result.trials} <= {"completed", "stopped"}


def test_the_last_value_of_each_key_counts_and_the_curve_is_kept(tmp_path: Path) -> None:
    """A metric may be missing in a unit; the curve shows it as null."""

    def sparse(ctx: hb.Context) -> None:
        for unit in ctx.steps(state={}):
            ctx.report(loss=unit)
            if unit % 2 == 0:
                ctx.report({"accuracy": torch.tensor(unit * 1.0)})

    returned = runner(tmp_path, sparse).run(start(0, 4))
    assert isinstance(returned.event, Reported)
    assert returned.event.metrics == {"loss": 3, "accuracy": 2.0}
    assert returned.info["curve"]["resource"] == [1, 1, 2, 3, 3, 4]
    assert returned.info["curve"]["accuracy"] == [None, 0.0, None, None, 2.0, None]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda ctx: None, "without iterating"),
        (lambda ctx: [ctx.report(loss="low") for _ in ctx.steps(state={})], "the metric `loss` is a str"),
        (lambda ctx: [ctx.report(loss=1 + 2j) for _ in ctx.steps(state={})], "complex"),
        (lambda ctx: [ctx.report(loss=torch.zeros(2)) for _ in ctx.steps(state={})], "Tensor"),
        (lambda ctx: [ctx.report(loss=True) for _ in ctx.steps(state={})], "bool"),
        (lambda ctx: [None for _ in ctx.steps(state={})], "`loss` was not reported; reported was: nothing"),
        (lambda ctx: [ctx.report(loss=1) for _ in ctx.steps(epoch=3)], "epoch"),
        (lambda ctx: [ctx.steps(a={}), ctx.steps(b={})], "called twice"),
    ],
)
def test_a_broken_contract_is_a_failure_that_says_what_to_do(body: Any, words: str, tmp_path: Path) -> None:
    """Never an exception of the worker."""
    event = runner(tmp_path, body).run(start(0, 1)).event
    assert isinstance(event, Failed)
    assert words in event.message
    assert event.kind in FailureKind


def test_training_inline_disturbs_neither_random_numbers_nor_threads(tmp_path: Path) -> None:
    """The caller's process is the caller's."""

    def uses_random(ctx: hb.Context) -> None:
        for _ in ctx.steps(state={}):
            ctx.report(loss=float(torch.rand(1)), threads=torch.get_num_threads())

    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    before = torch.get_num_threads()
    executor = Inline()
    executor.start(Work(cloudpickle.dumps(uses_random), None, str(tmp_path), "loss", 0, "none"))
    executor.submit(0, [start(0, 1)])
    event = executor.wait(None)[0].returned[0].event
    assert isinstance(event, Reported)
    assert event.metrics["threads"] == 1
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == before


def test_the_memory_of_warm_states_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old states are forgotten; they are on disk."""
    from hyperband.executors import runner as module

    monkeypatch.setattr(module, "WARM_BYTES", 45_000)
    worker = runner(tmp_path, chain)
    events = [worker.run(start(trial, 1)).event for trial in range(10)]
    assert not worker.run(resume(events[0], 2)).info["warm"]
    assert worker.run(resume(events[9], 2)).info["warm"]
