"""SIGKILL, for real: drivers and workers of real Ray runs die at random moments, and nothing changes.

``make test`` kills five drivers and three workers; ``make torture`` as many as TORTURE_KILLS says.
"""

import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hyperband as hb
from hyperband.errors import RunInterrupted
from hyperband.journal import JournalReader
from hyperband.testing.outcomes import Outcome, outcome_of
from hyperband.testing.trainables import slow_chain

DRIVER = Path(__file__).with_name("driver.py")
#: Records in the journal of the undisturbed run; kills are spread over them.
RECORDS = 270


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The result without any fault, trained inline."""
    result = hb.run(
        slow_chain,
        {"x": hb.uniform(0, 1)},
        metric="loss",
        mode="min",
        scheduler=hb.Hyperband(max_resource=27, eta=3),
        storage=tmp_path_factory.mktemp("undisturbed"),
        seed=5,
        executor="inline",
        progress="off",
    )
    return outcome_of(result.path)


def launch(storage: Path, name: str = "killed", executor: str = "ray") -> subprocess.Popen[bytes]:
    """Start a driver as a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(storage), name, executor], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def records_of(driver: subprocess.Popen[bytes], journal: Path) -> Iterator[dict[str, object]]:
    """Yield the journal's records as they are written, until the driver ends."""
    reader = None
    while True:
        ended = driver.poll() is not None
        if reader is None and (journal / "000001.jsonl").exists():
            reader = JournalReader(journal)
        if reader is not None:
            yield from reader.poll()
        if ended:
            return
        try:
            driver.wait(0.005)
        except subprocess.TimeoutExpired:
            continue


def family(pid: int) -> list[int]:
    """All descendants of a process, from /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def watch_ends(pids: list[int]) -> list[int]:
    """Open a handle on each process that tells when it ends."""
    handles = []
    for pid in pids:
        try:
            handles.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
    return handles


def require_ended(handles: list[int], seconds: float) -> None:
    """All of them end within so many seconds; no orphan is left."""
    poller = select.poll()
    for handle in handles:
        poller.register(handle, select.POLLIN)
    waiting = set(handles)
    while waiting:
        ready = poller.poll(seconds * 1000)
        assert ready, f"{len(waiting)} processes outlived their driver by {seconds} s"
        for handle, _ in ready:
            poller.unregister(handle)
            os.close(handle)
            waiting.discard(handle)


def kill_driver_when(driver: subprocess.Popen[bytes], journal: Path, records: int) -> bool:
    """Kill the driver as soon as its journal has so many records; False if it finished before."""
    for seen, _ in enumerate(records_of(driver, journal), start=1):
        if seen >= records and driver.poll() is None:
            processes = watch_ends(family(driver.pid))
            driver.kill()
            driver.communicate()
            require_ended(processes, 30)
            return True
    driver.communicate()
    return False


def kill_drivers(storage: Path, kills: int, seed: int) -> int:
    """Kill drivers of one experiment at random moments, resume each time, and return how many died."""
    rng = random.Random(seed)
    moments = sorted(rng.randrange(1, RECORDS) for _ in range(kills))
    journal = storage / "killed" / "journal"
    killed = sum(kill_driver_when(launch(storage), journal, moment) for moment in moments)
    last = launch(storage)
    _, errors = last.communicate(timeout=100)
    assert last.returncode == 0, errors.decode()[-3000:]
    return killed


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_five_killed_drivers_change_nothing(tmp_path: Path, undisturbed: Outcome) -> None:
    """Same winner and rung tables, no segment committed twice, no orphan process, journal intact."""
    assert kill_drivers(tmp_path, 5, seed=1) == 5
    assert outcome_of(tmp_path / "killed") == undisturbed
    assert len(list((tmp_path / "killed" / "journal").glob("*.jsonl"))) >= 5


@pytest.mark.ray
@pytest.mark.timeout(200)
def test_killed_workers_change_nothing(tmp_path: Path, undisturbed: Outcome) -> None:
    """Three workers die under their segments: these are trained again from the last commit, nothing else is."""
    driver = launch(tmp_path)
    rng = random.Random(2)
    due = sorted(rng.randrange(40, 200) for _ in range(3))
    dead: set[object] = set()
    for seen, record in enumerate(records_of(driver, tmp_path / "killed" / "journal"), start=1):
        pid = record.get("info", {}).get("pid")  # type: ignore[attr-defined]
        if due and seen >= due[0] and record["type"] == "committed" and pid not in dead:
            due.pop(0)
            dead.add(pid)
            os.kill(pid, signal.SIGKILL)
    _, errors = driver.communicate(timeout=100)
    assert driver.returncode == 0, errors.decode()[-3000:]
    assert len(dead) == 3
    outcome = outcome_of(tmp_path / "killed")
    assert outcome == undisturbed
    losses = [r for r in JournalReader(tmp_path / "killed" / "journal").poll() if r["type"] == "lost"]
    assert losses
    assert all(loss["cause"] == "worker" for loss in losses)


@pytest.mark.ray
@pytest.mark.timeout(200)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_a_run_in_good_order(
    number: signal.Signals, code: int, tmp_path: Path, undisturbed: Outcome
) -> None:
    """Running segments end, the resume line is printed, no process stays; the resumed run is the same."""
    driver = launch(tmp_path)
    seen = 0
    processes: list[int] = []
    for record in records_of(driver, tmp_path / "killed" / "journal"):
        seen += record["type"] == "committed"
        if seen >= 20 and not processes:
            processes = watch_ends(family(driver.pid))
            driver.send_signal(number)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode in {code, -number}
    assert f"hyperband resume {tmp_path / 'killed'}" in errors.decode()
    require_ended(processes, 30)
    assert not [r for r in JournalReader(tmp_path / "killed" / "journal").poll() if r["type"] in {"lost", "finish"}]
    again = launch(tmp_path, executor="inline")
    again.communicate(timeout=100)
    assert again.returncode == 0
    assert outcome_of(tmp_path / "killed") == undisturbed


def test_an_interrupted_run_says_how_to_go_on() -> None:
    """The exception carries the path and survives pickling."""
    import pickle

    error = pickle.loads(pickle.dumps(RunInterrupted("runs/x", 143)))
    assert (error.path, error.exit_code) == ("runs/x", 143)
    assert "hyperband resume runs/x" in str(error)


@pytest.mark.torture
@pytest.mark.ray
def test_any_number_of_killed_drivers_changes_nothing(tmp_path: Path, undisturbed: Outcome) -> None:
    """As many as TORTURE_KILLS, ten to an experiment."""
    wanted = int(os.environ.get("TORTURE_KILLS", "100"))
    killed = 0
    for round_number in range(10 * wanted):
        if killed >= wanted:
            break
        storage = tmp_path / str(round_number)
        killed += kill_drivers(storage, min(10, wanted - killed), seed=round_number)
        assert outcome_of(storage / "killed") == undisturbed
        print(f"{killed} drivers killed, 0 deviations", flush=True)  # noqa: T201 - the figure that was asked for
    assert killed >= wanted
