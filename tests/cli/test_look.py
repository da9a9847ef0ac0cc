"""The commands that read."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hyperband as hb
from hyperband.clock import VirtualClock
from hyperband.journal import Journal

Hyperband = Callable[..., Any]

COMMANDS = [["ls"], ["status", "done"], ["show", "done", "0"], ["why", "done", "0"], ["best", "done"], ["plan", "done"]]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_json_is_one_document_and_nothing_else(words: list[str], hyperband: Hyperband, finished: str) -> None:
    """Standard output parses as strict JSON, standard error is empty, the exit code is 0."""
    answer = hyperband(*words, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert isinstance(answer.document, dict)
    assert "error" not in answer.document


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("columns", ["80", "120"])
def test_text_fits_the_terminal(
    words: list[str], columns: str, hyperband: Hyperband, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is wider than the terminal, nothing is cut off, no escape goes into a pipe."""
    monkeypatch.setenv("COLUMNS", columns)
    answer = hyperband(*words)
    assert answer.code == 0
    assert answer.out.strip()
    assert "\x1b" not in answer.out
    assert "\u2026" not in answer.out
    assert max(map(len, answer.out.splitlines())) <= int(columns)


def test_status_agrees_with_load(hyperband: Hyperband, finished: str) -> None:
    """The document is that of the API, and the page shows its numbers."""
    result = hb.load(finished)
    document = hyperband("status", finished, "--json").document
    assert document["rungs"] == result.to_json()["rungs"]
    assert document["best"] == result.best.to_json()
    page = hyperband("status", finished).out
    assert "finished" in page
    assert all(f"{row.planned} @ {row.resource}" in page for row in result.rungs)


def test_best_names_the_state_so_that_it_loads(hyperband: Hyperband, finished: str) -> None:
    """The Python line on the page runs as it stands."""
    page = hyperband("best", "done").out
    line = next(line for line in page.splitlines() if "hyperband.load" in line)
    code = f"import hyperband; print({line[line.index('hyperband.load') :]})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'state': 9}"


def test_ls_shows_damaged_experiments_too(hyperband: Hyperband, finished: str) -> None:
    """One bad directory does not hide the others."""
    broken = Path("runs/broken/journal")
    broken.mkdir(parents=True)
    (broken / "000001.jsonl").write_text("garbage\n")
    answer = hyperband("ls", "--json")
    assert answer.code == 0
    assert {row["name"]: row["status"] for row in answer.document["experiments"]} == {
        "done": "finished",
        "broken": "unreadable",
    }
    assert "broken" in hyperband("ls").out


def test_ls_without_experiments_says_what_to_try(hyperband: Hyperband) -> None:
    """An empty place is no error, a place that was named and is not there is one."""
    assert "hyperband demo" in hyperband("ls").out
    assert hyperband("ls", "--json").document == {"storage": "runs", "experiments": []}
    assert hyperband("ls", "elsewhere").code == 2


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["status", "dne"], 2, "`done`"),
        (["why", "done", "999"], 2, "numbered 0 to"),
        (["show", "done", "-1"], 2, ""),
        (["plam"], 2, "plan"),
        (["plan", "--max-t", "9"], 2, "--max-resource"),
        (["plan", "--reduction-factor", "3"], 2, "--eta"),
        (["plan", "--max-resourc", "9"], 2, "--max-resource"),
        (["plan", "--max-resource", "9", "--eta", "1"], 2, "must be an integer >= 2"),
        (["plan", "--scheduler", "hyperbnd"], 2, "`hyperband`"),
        (["plan"], 2, "max_resource"),
        (["plan", "done", "--eta", "3"], 2, "its own plan"),
        (["why", "done"], 2, "TRIAL"),
        (["why", "done", "x"], 2, "integer"),
    ],
)
def test_mistakes_are_answered_with_what_was_meant(
    words: list[str], code: int, says: str, hyperband: Hyperband, finished: str
) -> None:
    """As text on standard error; with --json as a document with the same words. Never a traceback."""
    answer = hyperband(*words)
    assert answer.code == code
    assert answer.out == ""
    assert says in answer.err.replace("\n", " ")
    assert "Traceback" not in answer.err
    told = hyperband(*words, "--json")
    assert told.code == code
    assert set(told.document) == {"error", "type"}
    assert says in told.document["error"]


def test_a_damaged_journal_is_exit_code_4(hyperband: Hyperband, finished: str) -> None:
    """One changed byte."""
    file = Path(finished, "journal", "000001.jsonl")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    for command in (["status", "done"], ["best", "done"], ["resume", "done"]):
        assert hyperband(*command).code == 4
    assert hyperband("status", "done", "--json").document["type"] == "JournalDamagedError"


def test_another_driver_is_exit_code_5(hyperband: Hyperband, finished: str) -> None:
    """Resuming what somebody is writing is refused; reading it is not, and shows that it runs."""
    file = Path(finished, "journal", "000001.jsonl")
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-3]))  # not finished any more
    with Journal.open(Path(finished, "journal"), VirtualClock(), durability="none"):
        assert hyperband("resume", "done").code == 5
        assert hyperband("status", "done", "--json").document["status"] == "running"
    assert hyperband("status", "done", "--json").document["status"] == "unfinished"


def test_the_estimate_is_that_of_a_simulation(hyperband: Hyperband) -> None:
    """One worker needs the units one after the other; more workers never need longer, and no less than their share."""
    base = ["plan", "--max-resource", "27", "--seconds-per-unit", "2", "--json"]
    alone = hyperband(*base).document
    assert alone["seconds"] == 2 * alone["units"]
    previous = alone["seconds"]
    for workers in (2, 4, 8, 1000):
        seconds = hyperband(*base, "--workers", str(workers)).document["seconds"]
        assert alone["seconds"] / workers <= seconds <= previous
        assert seconds >= 2 * 27
        previous = seconds
    assert hyperband(*base[:-2], "0").code == 2


def test_the_plan_is_the_one_that_is_kept(hyperband: Hyperband, finished: str) -> None:
    """Printed from options, from the experiment, and by the API: the same."""
    from_options = hyperband("plan", "--max-resource", "9", "--unit", "epoch", "--json").document
    assert hyperband("plan", finished, "--json").document == from_options
    assert hb.load(finished).to_json()["plan"].items() <= from_options.items()


def test_help_is_quick_to_import_and_loads_nothing_heavy() -> None:
    """`hyperband --help` in a fresh process: neither ray nor torch nor pandas."""
    code = (
        "import sys; from hyperband.cli import main; code = main(['--help']); "
        "print([name for name in ('ray', 'torch', 'pandas', 'sklearn') if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("demo", "run", "plan", "resume", "ls", "status", "show", "why", "best"):
        assert f" {command} " in done.stdout


def test_python_dash_m_is_the_command(project: Path) -> None:
    """`python -m hyperband --version` prints the version."""
    done = subprocess.run([sys.executable, "-m", "hyperband", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"hyperband {hb.__version__}\n"


def test_a_closed_pipe_is_no_error(hyperband: Hyperband, finished: str) -> None:
    """`hyperband status ... | head -0` ends quietly."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "hyperband", "status", "done", "--json"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
