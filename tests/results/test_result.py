"""What `load_result` hands out."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import hyperband as hb
from hyperband.clock import VirtualClock
from hyperband.errors import (
    ConfigurationError,
    ExperimentNotFoundError,
    JournalDamagedError,
    NoResultError,
    UnknownNameError,
)
from hyperband.journal import Journal
from hyperband.results import Result, load_result

Records = list[dict[str, Any]]

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ray", "torch"}:
            raise ImportError(name + " is absent")

sys.meta_path.insert(0, Absent())
import json
from hyperband.results import load_result
result = load_result(sys.argv[1])
str(result), result._repr_html_(), str(result.why(0)), list(result.trials), result.failures, result.rungs
print(json.dumps(result.to_json(), allow_nan=False))
"""


def test_a_result_needs_neither_ray_nor_torch(small_run: Result) -> None:
    """Everything but `best.load` works where both cannot be imported."""
    command = [sys.executable, "-c", WITHOUT, str(small_run.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["best"] == small_run.to_json()["best"]


def test_a_result_never_unpickles(small_run: Result) -> None:
    """With trainable and states overwritten by bytes that would explode, reading still works."""
    (small_run.path / "trainable.pkl").write_bytes(b"cos\nabort\n(tR.")
    states = list(small_run.path.glob("checkpoints/*.ckpt"))
    assert states
    for state in states:
        state.write_bytes(b"cos\nabort\n(tR.")
    again = load_result(small_run.path)
    assert again.to_json() == small_run.to_json()
    assert str(again.why(0))


def test_each_prefix_of_a_journal_can_be_shown(
    play: Callable[..., Records], write_journal: Callable[..., Path]
) -> None:
    """A reader may come at any moment: text, HTML, JSON, trials and every explanation work."""
    records = play(7, 4)
    for end in range(2, len(records) + 1):
        result = load_result(write_journal(records[:end], f"e{end}"))
        json.dumps(result.to_json(), allow_nan=False)
        json.dumps([trial.to_json() for trial in result.trials], allow_nan=False)
        assert str(result)
        assert result._repr_html_()
        for trial in result.trials:
            story = result.why(trial.id)
            assert str(story).startswith(f"trial {trial.id} of played: ")
            json.dumps(story.to_json(), allow_nan=False)


def test_refresh_reads_on(play: Callable[..., Records], storage: Path) -> None:
    """A result that follows a writer ends up equal to one that is read at the end."""
    records = play(11)
    path = storage / "live"
    with Journal.create(path / "journal", VirtualClock(), durability="none") as journal:
        journal.append(records[1])
        journal.commit()
        following = load_result(path)
        assert following.status == "running"
        for index, record in enumerate(records[2:]):
            journal.append(record)
            if index % 5 == 0:
                journal.commit()
                following.refresh()
    assert following.refresh().to_json() == load_result(path).to_json()
    assert following.status == "finished"


def test_plan_equals_actual_when_nothing_fails(storage: Path) -> None:
    """Each rung trained exactly the planned number, and the units are the planned ones."""
    result = hb.run(
        lambda ctx: None,
        {"x": hb.uniform(0, 1)},
        metric="loss",
        mode="min",
        scheduler=hb.Hyperband(27),
        executor=hb.Simulated(3, curve=lambda config, resource: {"loss": config["x"] / resource}),
        storage=storage,
        name="exact",
        durability="none",
        progress="off",
    )
    assert [row.done for row in result.rungs] == [row.planned for row in result.rungs]
    assert result.view.units == result.view.units_dispatched == result.plan.units
    assert result.view.units_without_resume == result.plan.units_without_resume
    assert result.failures == ()


def test_the_best_state_can_be_loaded(small_run: Result) -> None:
    """`load` gives the state the winner committed: all of it, by name, or into a live object."""

    class Holder:
        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.state = state

    best = small_run.best
    assert best.load() == {"state": {"steps": best.resource}}
    assert best.load("state") == {"steps": best.resource}
    holder = Holder()
    assert best.load("state", into=holder) is holder
    assert holder.state == {"steps": best.resource}
    assert best.load(into=Holder()).state == {"steps": best.resource}
    with pytest.raises(UnknownNameError, match="`state`"):
        best.load("stat")


def test_an_experiment_can_be_moved(small_run: Result, tmp_path: Path) -> None:
    """Nothing in it is an absolute path: the state loads from its new place."""
    moved = small_run.path.rename(tmp_path / "elsewhere")
    assert load_result(moved).best.load("state") == {"steps": small_run.best.resource}


def test_trials_tell_what_became_of_them(small_run: Result) -> None:
    """Status, failure and value of a trial agree with what its config had to lead to."""
    assert len(small_run.trials) == small_run.plan.trials
    kinds = set()
    for trial in small_run.trials:
        x = trial.config["x"]
        if x > 0.9:
            assert trial.status == "failed"
            assert trial.failure is not None
            assert trial.failure.kind == "exception"
            assert trial.failure.traceback is not None
            assert trial.value is None
        elif x > 0.8:
            assert trial.status == "failed"
            assert trial.failure is not None
            assert trial.failure.kind == "not finite"
            assert trial.value is not None
            assert math.isnan(trial.value)
        else:
            assert trial.status in ("stopped", "completed")
            assert trial.failure is None
            assert trial.curve[-1] == (trial.resource, trial.value)
            assert trial.decisions
        kinds.add(trial.status)
    assert kinds == {"failed", "stopped", "completed"}
    assert {failure.trial for failure in small_run.failures} == {t.id for t in small_run.trials if t.status == "failed"}


def test_values_are_frozen(small_run: Result) -> None:
    """What a result hands out cannot be changed by accident."""
    with pytest.raises(AttributeError):
        small_run.trials[0].status = "best"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        small_run.best.value = 0.0  # type: ignore[misc]


def test_without_a_finite_value_there_is_no_best(storage: Path) -> None:
    """The error tells the first failure, so that nobody has to search for it."""

    def explode(config: dict[str, Any], state: Any, resource: int) -> tuple[dict[str, float], Any]:
        message = "the data are gone"
        raise RuntimeError(message)

    result = hb.run(
        explode,
        {"x": hb.uniform(0, 1)},
        metric="loss",
        mode="min",
        scheduler=hb.FIFO(2, n_configs=2),
        executor="inline",
        storage=storage,
        name="bad",
        progress="off",
    )
    with pytest.raises(NoResultError, match="the data are gone"):
        _ = result.best
    assert "the data are gone" in str(result)
    assert result.to_json()["best"] is None


def test_an_unknown_trial_is_answered_with_the_range(small_run: Result) -> None:
    """The error says which numbers there are."""
    with pytest.raises(NoResultError, match=f"numbered 0 to {small_run.plan.trials - 1}"):
        small_run.why(10_000)
    with pytest.raises(NoResultError):
        small_run.why(-1)


def test_text_from_a_journal_is_harmless(small_run: Result) -> None:
    """Escape sequences never reach a terminal, and HTML is escaped."""
    failed = next(trial for trial in small_run.trials if trial.failure and trial.failure.kind == "exception")
    for text in (str(small_run), str(small_run.why(failed.id)), small_run._repr_html_()):
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "boom" in str(small_run.why(failed.id))
    hostile = small_run.view.header
    small_run.view.header = {**hostile, "name": "<script>alert(1)</script>"}
    page = small_run._repr_html_()
    assert "<script>" not in page
    parser = HTMLParser()
    parser.feed(page)
    parser.close()


def test_a_data_frame_has_flat_columns(small_run: Result) -> None:
    """One row per trial, indexed by id; nested configs and metrics are columns."""
    pandas = pytest.importorskip("pandas")
    frame = small_run.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.index) == list(range(small_run.plan.trials))
    assert {"config/x", "metrics/loss", "metrics/steps", "status", "value"} <= set(frame.columns)
    assert frame.loc[small_run.best.trial, "value"] == small_run.best.value
    assert frame["config/x"].tolist() == [trial.config["x"] for trial in small_run.trials]


def test_without_pandas_the_error_names_the_extra(small_run: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message can be pasted."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'hyperband\[pandas\]'"):
        small_run.to_pandas()


def test_a_missing_experiment_and_an_empty_journal_are_told_apart(storage: Path, small_run: Result) -> None:
    """The first names the neighbours; the second says that the driver never began."""
    with pytest.raises(ExperimentNotFoundError, match="small"):
        load_result(storage / "smal")
    with (
        Journal.create(storage / "begun" / "journal", VirtualClock(), durability="none"),
        pytest.raises(ExperimentNotFoundError, match="no experiment yet"),
    ):
        load_result(storage / "begun")


def test_a_damaged_journal_is_refused(small_run: Result) -> None:
    """One changed byte, and nothing is shown."""
    file = small_run.path / "journal" / "000001.jsonl"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(JournalDamagedError, match="line"):
        load_result(small_run.path)
