"""The front door: what is refused is refused before anything starts, in words that help, and nothing is lost."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hyperband as hb
from hyperband.errors import (
    ChangedExperimentError,
    ConfigurationError,
    ExperimentExistsError,
    ExperimentNotFoundError,
    InfeasibleResourcesError,
    LockedError,
    SpaceError,
    TrainableError,
    UnknownNameError,
)
from hyperband.testing.trainables import chain

SPACE = {"x": hb.uniform(0, 1)}


def run(storage: Path, trainable: object = chain, space: object = SPACE, **more: Any) -> hb.Result:
    """A small run in this process."""
    options: dict[str, Any] = {
        "metric": "loss",
        "mode": "min",
        "max_resource": 3,
        "executor": "inline",
        "progress": "off",
    }
    return hb.run(trainable, space, storage=storage, **{**options, **more})


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"space": {}}, SpaceError, "space"),
        ({"space": {"x": 1, "y": "two"}}, SpaceError, "space"),
        ({"mode": "maximize"}, ConfigurationError, "mode='max'"),
        ({"metric": None}, ConfigurationError, "`metric` is None"),
        ({"max_resource": 0}, ConfigurationError, "`max_resource` is 0"),
        ({"max_resource": 2.5}, ConfigurationError, "whole units"),
        ({"eta": 1}, ConfigurationError, "`eta` is 1"),
        ({"max_resource": None}, ConfigurationError, "Hyperband needs `max_resource`"),
        ({"scheduler": "hyperbnd"}, UnknownNameError, "Did you mean `hyperband`"),
        ({"scheduler": hb.Hyperband(9)}, ConfigurationError, "has its own"),
        ({"sampler": "rndom"}, UnknownNameError, "random"),
        ({"executor": "rai"}, UnknownNameError, "ray"),
        ({"executor": 7}, ConfigurationError, "`executor` is 7"),
        ({"max_concurrent": 3}, ConfigurationError, "`max_concurrent` is 3"),
        ({"resources": {"cpu": -1}}, ConfigurationError, "must be a number >= 0"),
        ({"resources": {"gpu": True}}, ConfigurationError, "`resources['gpu']` is True"),
        ({"name": "../up"}, ConfigurationError, "`name` is '../up'"),
        ({"name": ""}, ConfigurationError, "`name` is ''"),
        ({"seed": -1}, ConfigurationError, "`seed` is -1"),
        ({"resume": True}, ConfigurationError, "needs the `name`"),
        ({"resume": "yes", "name": "a"}, ConfigurationError, "`resume` is 'yes'"),
        ({"durability": "some"}, ConfigurationError, "full"),
        ({"trainable": 3}, TrainableError, "a trainable is"),
        ({"trainable": None}, TrainableError, "a trainable is"),
        ({"trainable": lambda: None}, TrainableError, "takes 0 positional arguments"),
        ({"trainable": lambda a, b: None}, TrainableError, "takes 2 positional arguments"),
        ({"trainable": dict}, TrainableError, "does not subclass hyperband.Trainable"),
        ({"progress": "loud"}, ConfigurationError, "progress"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_argument_starts_nothing(
    arguments: dict[str, Any], error: type[Exception], words: str, storage: Path
) -> None:
    """The message holds the value, what is legal, and the next step; no directory was made."""
    with pytest.raises(error) as caught:
        run(storage, **arguments)
    assert words in str(caught.value)
    assert not storage.exists()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("num_samples", "n_configs"),
        ("max_t", "max_resource"),
        ("reduction_factor", "eta"),
        ("max_concurrent_trials", "max_concurrent"),
        ("random_state", "seed"),
        ("direction", "mode"),
        ("local_dir", "storage"),
        ("sampelr", "sampler"),
    ],
)
def test_words_of_other_libraries_are_understood(theirs: str, ours: str, storage: Path) -> None:
    """`hb.run(max_t=...)` is answered with the word we use."""
    with pytest.raises(UnknownNameError) as caught:
        run(storage, **{theirs: 3})
    assert f"`{ours}`" in str(caught.value)


def test_an_existing_name_is_left_untouched(storage: Path) -> None:
    """The message holds both ways on."""
    first = run(storage, name="mine")
    before = {p: p.read_bytes() for p in first.path.rglob("*") if p.is_file()}
    with pytest.raises(ExperimentExistsError, match=r"hyperband resume .*mine"):
        run(storage, name="mine", seed=5)
    assert {p: p.read_bytes() for p in first.path.rglob("*") if p.is_file()} == before


def test_somebody_elses_directory_is_left_untouched(storage: Path) -> None:
    """A directory that is no experiment is not adopted."""
    (storage / "mine").mkdir(parents=True)
    (storage / "mine" / "thesis.tex").write_text("...")
    with pytest.raises(ExperimentExistsError):
        run(storage, name="mine")
    assert [p.name for p in (storage / "mine").iterdir()] == ["thesis.tex"]


def test_a_resume_with_anything_changed_says_what_changed(storage: Path) -> None:
    """Space, plan, metric, mode, seed, trainable: recorded -> now, one line each."""
    run(storage, name="mine")

    def other(config: dict[str, Any], state: Any, resource: int) -> Any:
        return chain(config, state, resource)

    with pytest.raises(ChangedExperimentError) as caught:
        run(
            storage,
            other,
            {"x": hb.uniform(0, 2), "y": hb.randint(3)},
            name="mine",
            resume=True,
            seed=3,
            max_resource=9,
            mode="max",
        )
    text = str(caught.value)
    for line in (
        "space: x: uniform(0.0, 1.0) -> uniform(0.0, 2.0)",
        "space: y: added",
        "plan: max_resource: 3 -> 9",
        "plan: bracket 0: 3@1 1@3 -> 9@1 3@3 1@9",
        "mode: 'min' -> 'max'",
        "seed: 0 -> 3",
        "trainable's name",
    ):
        assert line in text, text


def test_the_same_call_with_resume_continues_or_begins(storage: Path) -> None:
    """`resume="auto"` is what a script wants that is simply run again."""
    first = run(storage, name="mine", resume="auto")
    second = run(storage, name="mine", resume="auto")
    assert second.best == first.best
    with pytest.raises(ExperimentNotFoundError, match="holds: mine"):
        run(storage, name="other", resume=True)


@pytest.mark.parametrize("call", [hb.resume, hb.load])
def test_a_path_without_an_experiment_names_its_neighbours(call: Any, storage: Path) -> None:
    """Typos in paths are the commonest."""
    run(storage, name="mine")
    with pytest.raises(ExperimentNotFoundError, match="mine"):
        call(storage / "mien")


def test_a_second_driver_is_refused_and_told_who_is_first(storage: Path) -> None:
    """One writer; the message names host and process."""
    seen: list[str] = []

    class Second(hb.Callback):
        def on_record(self, record: dict[str, Any]) -> None:
            if record["type"] == "committed" and not seen:
                with pytest.raises(LockedError) as caught:
                    hb.resume(storage / "mine", executor="inline", progress="off")
                seen.append(str(caught.value))

    run(storage, name="mine", callbacks=[Second()])
    import os

    assert seen
    assert str(os.getpid()) in seen[0]


def test_a_callback_that_raises_stops_nothing(storage: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and not called again."""
    calls = []

    class Bad(hb.Callback):
        def on_record(self, record: dict[str, Any]) -> None:
            calls.append(record)
            msg = "boom"
            raise RuntimeError(msg)

    result = run(storage, callbacks=[Bad()])
    assert result.status == "finished"
    assert len(calls) == 1
    assert "boom" in caplog.text


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_request_no_node_can_meet_is_refused_at_the_start(storage: Path) -> None:
    """Wanted and existing resources stand in the message; nothing hangs."""
    for resources, words in (({"cpu": 64}, "CPU 64"), ({"gpu": 1}, "GPU 1"), ({"tpu": 0.5}, "tpu 0.5")):
        with pytest.raises(InfeasibleResourcesError, match=words) as caught:
            run(storage, executor="ray", resources=resources)
        assert "CPU 4" in str(caught.value)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_data_that_cannot_be_loaded_fails_at_the_start_with_its_traceback(storage: Path) -> None:
    """Before any trial."""

    def load() -> Any:
        msg = "no file train.csv"
        raise FileNotFoundError(msg)

    with pytest.raises(TrainableError, match=r"no file train\.csv"):
        run(storage, executor="ray", data=load)


def test_a_trainable_that_cannot_be_pickled_is_named(storage: Path) -> None:
    """A lock in the closure is the classic."""
    import threading

    lock = threading.Lock()

    def holds_a_lock(config: dict[str, Any], state: Any, resource: int) -> Any:
        with lock:
            return chain(config, state, resource)

    with pytest.raises(TrainableError, match="cannot be pickled"):
        run(storage, holds_a_lock)
    assert not storage.exists()


def test_plan_starts_nothing_and_is_what_runs(storage: Path) -> None:
    """`hb.plan` with the same words as `hb.run`; also for a grid that is smaller than the plan."""
    for options in ({"max_resource": 9}, {"max_resource": 9, "sampler": "grid", "space": SPACE}):
        plan = hb.plan(**options, unit="epoch")
        result = run(storage, **{"name": f"plan-{len(options)}", "unit": "epoch", **options})
        assert result.plan == plan
        assert len(result.trials) == plan.trials
    assert not any("ray" in str(path) for path in storage.iterdir())


def test_public_names_are_the_documented_few_and_all_work() -> None:
    """At most 30 names; each can be imported; `hb.plan` stays a function whatever is imported."""
    assert len(hb.__all__) <= 30
    for name in hb.__all__:
        assert getattr(hb, name) is not None
    for room in ("planning", "results", "api"):
        importlib.import_module(f"hyperband.{room}")
    assert callable(hb.plan)
    with pytest.raises(AttributeError, match="nothing"):
        _ = hb.nothing


def test_a_script_runs_resumes_and_needs_no_main_guard(tmp_path: Path) -> None:
    """A function of a script travels by value: the resume works from another directory."""
    script = tmp_path / "my_script.py"
    script.write_text(
        "import sys, hyperband as hb\n"
        "FACTOR = 2\n"
        "def helper(x): return FACTOR * x\n"
        "def train(config, state, resource):\n"
        "    state = (state or 0) + resource\n"
        "    return {'loss': helper(config['x']) / state}, state\n"
        "r = hb.run(train, {'x': hb.uniform(0, 1)}, metric='loss', mode='min', max_resource=9, executor='inline',\n"
        f"           storage={str(tmp_path / 'runs')!r}, name='script', progress='off')\n"
        "print(r.best.trial)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=tmp_path)
    path = tmp_path / "runs" / "script"
    lines = (path / "journal" / "000001.jsonl").read_bytes().splitlines(keepends=True)
    (path / "journal" / "000001.jsonl").write_bytes(b"".join(lines[:9]))
    resumed = hb.resume(path, progress="off")
    assert resumed.best.trial == int(done.stdout)
