"""A project directory with a script of a user in it, and the command line called in the same process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hyperband.cli import main

SCRIPT = '''
"""What a user of the package writes."""
import math, os, sys
import hyperband as hb

space = {"x": hb.uniform(0, 1)}
SMALL = {"x": hb.choice([0.1, 0.2, 0.3])}

def train(config, state, resource):
    print("noise on standard output")
    os.write(1, b"noise from C\\n")
    if os.path.exists("gate") and state is None:
        print("ready", file=sys.stderr, flush=True)
        open("gate").read()                      # waits until the test opens the other end
    steps = (state or 0) + resource
    return {"loss": config["x"] + 1 / steps}, steps

def fail(config, state, resource):
    if config["x"] > 0.5:
        raise ValueError("\\x1b[31mtoo large\\nsecond line")
    return train(config, state, resource)

def fail_all(config, state, resource):
    raise ValueError("nothing works")

def make_space():
    return space
'''


@dataclass(frozen=True)
class Answer:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `script.py`."""
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "script", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def hyperband(project: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Call a command: `hyperband("status", "runs/a", "--json")`."""

    def call(*words: str) -> Answer:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return call


@pytest.fixture
def finished(hyperband: Callable[..., Answer]) -> str:
    """Path of a finished experiment."""
    options = ["--metric", "loss", "--mode", "min", "--max-resource", "9", "--executor", "inline", "--name", "done"]
    assert hyperband("run", "script:train", *options, "--unit", "epoch").code == 0
    return "runs/done"
