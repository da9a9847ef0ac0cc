"""The commands that train."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hyperband as hb

Hyperband = Callable[..., Any]

OPTIONS = ["--metric", "loss", "--mode", "min", "--max-resource", "9", "--executor", "inline"]


def test_run_prints_lines_then_the_ending(hyperband: Hyperband) -> None:
    """Without a terminal: progress on standard error, the table and the next commands on standard output."""
    answer = hyperband("run", "script:train", *OPTIONS, "--name", "a", "--unit", "epoch")
    assert answer.code == 0
    assert "bracket 0 rung 0: 9 trials trained to 1 epoch" in answer.err
    for word in ("Planned and actual", "Best", "Cost", "Next"):
        assert word in answer.out


def test_the_next_commands_work_as_they_are_printed(hyperband: Hyperband, finished: str) -> None:
    """Each line under "Next" is a command that ends with 0."""
    from hyperband.progress.ending import next_commands

    rows = next_commands(hb.load(finished))
    assert {row.split()[1] for row, _ in rows} == {"status", "why", "best", "plan"}
    for command, _ in rows:
        assert hyperband(*shlex.split(command)[1:]).code == 0


def test_json_stays_alone_although_user_code_prints(project: Path) -> None:
    """What Python and C code print while training goes to standard error."""
    command = [sys.executable, "-m", "hyperband", "run", "script.py:train", *OPTIONS, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert document["status"] == "finished"
    assert document["trials"]["begun"] == document["trials"]["planned"]
    assert "noise on standard output" in done.stderr
    assert "noise from C" in done.stderr


@pytest.mark.parametrize("space", ["script:SMALL", "script:make_space", "script.py:space"])
def test_the_space_can_be_named(space: str, hyperband: Hyperband) -> None:
    """A value or a function without arguments, in a module or a file."""
    assert hyperband("run", "script:train", *OPTIONS, "--space", space, "--json").code == 0


def test_failed_trials_are_exit_code_1_and_a_result(hyperband: Hyperband) -> None:
    """The run is done, its best is there, the failure is shown clean and in one line."""
    answer = hyperband("run", "script:fail", *OPTIONS, "--name", "a")
    assert answer.code == 1
    assert "failed: ValueError: too large" in answer.err
    assert "\x1b" not in answer.err + answer.out
    assert "second line" not in answer.err
    assert hb.load("runs/a").best.config["x"] <= 0.5


def test_no_result_is_exit_code_1(hyperband: Hyperband) -> None:
    """Also when asked later; the reason is told."""
    assert hyperband("run", "script:fail_all", *OPTIONS, "--name", "a").code == 1
    answer = hyperband("best", "a")
    assert (answer.code, answer.out) == (1, "")
    assert "nothing works" in answer.err
    told = hyperband("best", "a", "--json")
    assert (told.code, told.document["type"]) == (1, "NoResultError")


def test_an_existing_name_is_refused_and_can_be_resumed(hyperband: Hyperband, finished: str) -> None:
    """Nothing is overwritten; --resume goes on, and changes are told."""
    words = ["run", "script:train", *OPTIONS, "--name", "done", "--unit", "epoch"]
    before = Path(finished, "journal", "000001.jsonl").read_bytes()
    assert hyperband(*words).code == 2
    assert hyperband(*words, "--resume").code == 0
    changed = hyperband(*words, "--resume", "--seed", "1")
    assert changed.code == 2
    assert "seed: 0 -> 1" in changed.err
    assert Path(finished, "journal", "000001.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"trainable": "script:trian"}, "`train`"),
        ({"trainable": "scrpt:train"}, "no module"),
        ({"trainable": "script"}, "module:function"),
        ({"trainable": "broken:train"}, "RuntimeError: at import"),
        ({"--mode": "maximise"}, "'max'"),
        ({"--space": "script:nothing"}, "nothing"),
        ({"--sampler": "randm"}, "`random`"),
        ({"--executor": "inlin"}, "`inline`"),
        ({"--progress": "lvie"}, "`live`"),
    ],
)
def test_wrong_calls_start_nothing(change: dict[str, str], says: str, hyperband: Hyperband, project: Path) -> None:
    """Exit code 2, the near word, and no directory was made."""
    (project / "broken.py").write_text("raise RuntimeError('at import')\n")
    words = {"trainable": "script:train", **dict(zip(OPTIONS[::2], OPTIONS[1::2], strict=True)), **change}
    trainable = words.pop("trainable")
    answer = hyperband("run", trainable, *(part for pair in words.items() for part in pair))
    assert answer.code == 2
    assert says in answer.err.replace("\n", " ")
    assert not (project / "runs").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_prints_a_resume_line_that_works(number: signal.Signals, code: int, project: Path) -> None:
    """The line on standard error, pasted, finishes the run; its result is that of an undisturbed one."""
    os.mkfifo(project / "gate")
    command = [sys.executable, "-m", "hyperband"]
    words = ["run", "script.py:train", *OPTIONS]
    with subprocess.Popen([*command, *words, "--name", "cut"], stderr=subprocess.PIPE, text=True) as driver:
        assert driver.stderr is not None
        while "ready" not in driver.stderr.readline():
            pass
        driver.send_signal(number)
        (project / "gate").write_text("")  # lets the segment end; the signal came before
        told = driver.stderr.read()
    assert driver.returncode == code
    (project / "gate").unlink()
    [line] = [line.strip() for line in told.splitlines() if "hyperband resume" in line]
    assert hb.load("runs/cut").status == "interrupted"
    shown = subprocess.run([*command, "status", "cut"], capture_output=True, text=True, check=True).stdout
    assert "interrupted" in shown
    assert line in shown
    subprocess.run([*command, *shlex.split(line)[1:]], capture_output=True, text=True, check=True)
    subprocess.run([*command, *words, "--name", "whole"], capture_output=True, text=True, check=True)
    cut, whole = hb.load("runs/cut"), hb.load("runs/whole")
    assert cut.status == "finished"
    assert cut.best.config == whole.best.config
    assert [row.to_json() for row in cut.rungs] == [row.to_json() for row in whole.rungs]


@pytest.mark.ray
@pytest.mark.timeout(400)
def test_the_demo_does_what_it_promises(project: Path) -> None:
    """On real Ray: plan equals actual, the re-loaded model is good on test images, resuming saved units."""
    command = [sys.executable, "-m", "hyperband", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=380)
    assert done.returncode == 0, (done.returncode, done.stderr)
    document = json.loads(done.stdout)
    assert document["path"] == "runs/demo"
    assert [row["done"] + row["failed"] for row in document["rungs"]] == [row["planned"] for row in document["rungs"]]
    assert document["units"]["trained"] == document["units"]["planned"] < document["units"]["without_resume"]
    assert document["best"]["value"] > 0.95
    assert document["test_accuracy"] > 0.9
    assert hb.load("runs/demo").best.trial == document["best"]["trial"]
