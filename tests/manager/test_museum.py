"""Defects that were found by attacking this package, each re-created once and never to come back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import hyperband as hb
from hyperband.errors import ExperimentExistsError, InfeasibleResourcesError, LockedError
from hyperband.executors import Inline
from hyperband.journal import Journal, read_records
from hyperband.messages import LossCause
from hyperband.testing.executors import ExecutorContract, start
from hyperband.testing.outcomes import outcome_of
from hyperband.testing.trainables import chain

SPACE = {"x": hb.uniform(0, 1)}


def run(storage: Path, trainable: object = chain, **more: Any) -> hb.Result:
    """A small run in this process."""
    options: dict[str, Any] = {"metric": "loss", "mode": "min", "max_resource": 9, "executor": "inline", **more}
    return hb.run(trainable, SPACE, storage=storage, progress="off", **options)


def test_metrics_that_no_journal_can_hold_fail_their_own_trial(storage: Path) -> None:
    """An integer beyond any float, a name of megabytes, thousands of metrics: never the driver's problem."""

    def huge(config: dict[str, Any], state: Any, resource: int) -> Any:
        metrics, state = chain(config, state, resource)
        extra: dict[str, Any] = {"params": 10**400}
        if config["x"] > 0.3:
            extra = {"n" * 5_000_000: 1}
        if config["x"] > 0.6:
            extra = {f"m{i}": i for i in range(5000)}
        return ({**metrics, **extra} if config["x"] < 0.9 else metrics), state

    result = run(storage, huge)
    assert result.status == "finished"
    assert {f.kind for f in result.failures} == {"metric"}
    assert result.best.config["x"] >= 0.9


def test_a_long_curve_is_thinned(storage: Path) -> None:
    """`report` in every step of a long segment does not fill the journal."""

    def chatty(ctx: hb.Context) -> None:
        for _ in ctx.steps(state={}):
            for n in range(3000):
                ctx.report(loss=n)

    result = run(storage, chatty, max_resource=1)
    assert result.trials[0].curve is not None
    assert max(len(r["info"]["curve"]["loss"]) for r in read_records(result.path / "journal") if "info" in r) <= 500


def test_exceptions_that_cannot_be_printed_and_states_that_cannot_be_named_fail_their_own_trial(storage: Path) -> None:
    """A SyntaxError with nonsense inside breaks the traceback module itself; a bytes key breaks the manifest."""

    class Odd(hb.Trainable):
        def setup(self, config: dict[str, Any], ctx: hb.Context) -> None:
            self.x = config["x"]
            self.state = {b"bytes": {}} if config["x"] > 0.5 else {"fine": {}}  # type: ignore[dict-item]

        def step(self) -> dict[str, float]:
            if self.x < 0.2:
                raise SyntaxError("x", ("f", 1, "b", "text"))  # noqa: EM101 - the arguments are the point
            return {"loss": self.x}

    result = run(storage, Odd)
    assert result.status == "finished"
    assert {f.kind for f in result.failures} == {"state", "exception"}
    assert 0.2 <= result.best.config["x"] <= 0.5


def test_what_a_trial_changes_in_its_process_is_taken_back(storage: Path, tmp_path: Path) -> None:
    """Directory, environment, torch's modes: the next trial finds them as the first one did."""
    import torch

    seen: list[Any] = []
    here = Path.cwd()

    class Watch(hb.Callback):
        def on_record(self, record: dict[str, Any]) -> None:
            if record["type"] == "committed":
                seen.append(tuple(record["metrics"][k] for k in ("grad", "wide", "here", "variable")))

    def vandal(config: dict[str, Any], state: Any, resource: int) -> Any:
        metrics = {
            "loss": config["x"],
            "grad": float(torch.is_grad_enabled()),
            "wide": float(torch.get_default_dtype() == torch.float64),
            "here": float(Path.cwd() == here),
            "variable": float("VANDAL" in os.environ),
        }
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        os.chdir(tmp_path)
        os.environ["VANDAL"] = "1"
        return metrics, 1

    run(storage, vandal, callbacks=[Watch()])
    assert set(seen) == {(1.0, 0.0, 1.0, 0.0)}
    assert Path.cwd() == here
    assert torch.is_grad_enabled()
    assert "VANDAL" not in os.environ


def test_a_start_that_was_refused_does_not_use_up_the_name(storage: Path) -> None:
    """Corrected, the same call works."""

    class Refusing(Inline):
        def start(self, work: Any) -> int:
            msg = "no"
            raise InfeasibleResourcesError(msg)

    with pytest.raises(InfeasibleResourcesError):
        run(storage, executor=Refusing(), name="mine")
    assert run(storage, name="mine").status == "finished"


@pytest.mark.parametrize("resume", [False, "auto"])
def test_a_driver_that_died_before_its_first_trial_leaves_nothing_in_the_way(resume: Any, storage: Path) -> None:
    """After mkdir, after the epoch record, after the header."""
    calm = outcome_of(run(storage, name="calm").path)
    lines = (storage / "calm" / "journal" / "000001.jsonl").read_bytes().splitlines(keepends=True)
    for number, kept in enumerate((None, 0, 1, 2, 3)):
        path = storage / f"{number}"
        path.mkdir()
        if kept is not None:
            (path / "journal").mkdir()
            (path / "journal" / "000001.jsonl").write_bytes(b"".join(lines[:kept]))
            (path / "trainable.pkl").write_bytes((storage / "calm" / "trainable.pkl").read_bytes())
        assert outcome_of(run(storage, name=f"{number}", resume=resume).path) == calm


def test_two_drivers_that_begin_one_experiment_cannot_spoil_it(storage: Path) -> None:
    """The lock comes before the first file; the second driver changes nothing."""

    class Second(hb.Callback):
        def on_start(self, header: dict[str, Any]) -> None:
            content = (storage / "mine" / "trainable.pkl").read_bytes()
            with pytest.raises((LockedError, ExperimentExistsError)):
                run(storage, lambda config, state, resource: ({"loss": 0.0}, 1), name="mine")
            assert (storage / "mine" / "trainable.pkl").read_bytes() == content
            header.clear()  # a callback may not change the run either

    result = run(storage, name="mine", callbacks=[Second()])
    assert result.status == "finished"
    outcome_of(result.path)


def test_an_interruption_does_not_wait_for_jobs_that_were_never_submitted(storage: Path) -> None:
    """Retried segments that wait for a worker of their own are not in flight; virtual time would wait for ever."""
    run(storage, name="mine")
    journal = storage / "mine" / "journal" / "000001.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = next(n for n, line in enumerate(lines) if b'"committed"' in line)
    journal.write_bytes(b"".join(lines[: last + 12]))

    class Interrupt(hb.Callback):
        def on_record(self, record: dict[str, Any]) -> None:
            if record["type"] in {"start", "resume"} and "seq" not in record:
                os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    executor = hb.Simulated(1, curve=lambda config, r: {"loss": config["x"] / r})
    with pytest.raises(hb.RunInterrupted):
        hb.resume(storage / "mine", executor=executor, callbacks=[Interrupt()], progress="off")
    assert time.monotonic() - began < 10


def test_a_function_with_defaults_for_state_and_resource_is_still_of_shape_two(storage: Path) -> None:
    """The names tell."""

    def train(config: dict[str, Any], state: Any = None, resource: int = 1) -> Any:
        return chain(config, state, resource)

    assert not run(storage, train).failures


def test_classes_of_a_script_are_in_the_state_by_value(tmp_path: Path) -> None:
    """Begun inline by a script, resumed elsewhere: the state's class need not be importable there."""
    (tmp_path / "script_with_class.py").write_text(
        "import sys, hyperband as hb\n"
        "class Box:\n"
        "    def __init__(self): self.n = 0\n"
        "def train(config, state, resource):\n"
        "    state = state or Box()\n"
        "    assert isinstance(state, Box)\n"
        "    state.n += resource\n"
        "    return {'loss': config['x'] / state.n}, state\n"
    )
    code = (
        "import script_with_class as s, hyperband as hb\n"
        f"hb.run(s.train, {{'x': hb.uniform(0, 1)}}, metric='loss', mode='min', max_resource=9, executor='inline',\n"
        f"       storage={str(tmp_path / 'runs')!r}, name='boxed', progress='off')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    path = tmp_path / "runs" / "boxed"
    load = f"import hyperband as hb; print(hb.load({str(path)!r}).best.load('state').n)"
    done = subprocess.run([sys.executable, "-c", load], check=True, capture_output=True, text=True, cwd="/")
    assert done.stdout.strip() == "9"


class OnRay(ExecutorContract):
    """Only its tools are used; the contract itself is tested elsewhere."""

    def make_executor(self) -> Any:
        """Two workers."""
        from hyperband.executors.ray import Ray

        return Ray(max_concurrent=2)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_that_gets_sigterm_is_lost_and_its_trial_did_not_fail(tmp_path: Path) -> None:
    """As systemd, Slurm and preemption do it: told to go, not killed."""

    def told_to_go(config: dict[str, Any], state: Any, resource: int) -> Any:
        if config.get("go"):
            os.kill(os.getpid(), signal.SIGTERM)
        return chain(config, state, resource)

    with OnRay().running(tmp_path, told_to_go) as harness:
        event = harness.one(start(0, 1, go=True))
        assert getattr(event, "cause", None) is LossCause.WORKER


def test_the_lock_of_a_journal_is_taken_at_its_creation(tmp_path: Path) -> None:
    """What the two tests above rest on."""
    from hyperband.clock import VirtualClock

    with Journal.create(tmp_path / "journal", VirtualClock()), pytest.raises(LockedError):
        Journal.create(tmp_path / "journal", VirtualClock())
