"""Real processes: a driver that dies, one that stands still, two that start at once."""

import itertools
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hyperband.errors import LockedError
from hyperband.journal import Journal, JournalReader, read_records

DRIVER = """
import sys
from hyperband.clock import VirtualClock
from hyperband.journal import Journal
journal = Journal.create(sys.argv[1], VirtualClock(), durability="none")
number = 0
while True:
    for _ in range(3):
        journal.append({"type": "a", "number": number, "text": "x" * 200})
        number += 1
    journal.commit()
    print(number, flush=True)
"""


class Driver:
    """A driver process that commits without end and prints how much is committed."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout

    def acknowledged(self, at_least: int) -> int:
        """Read until the driver says that so many records are committed."""
        count = 0
        while count < at_least:
            count = int(self.output.readline())
        return count

    def kill(self) -> int:
        """Kill -9; return the last number it printed."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        rest = self.process.communicate()[0].splitlines()
        whole = [int(line) for line in rest if line.isdigit()][:-1]  # the very last line may be cut
        return max(whole, default=0)


@pytest.fixture
def driver(directory: Path) -> Driver:
    """A running driver; dead after the test."""
    driver = Driver(directory)
    yield driver  # type: ignore[misc]
    if driver.process.poll() is None:
        driver.kill()
    for stream in (driver.process.stdout, driver.process.stderr):
        if stream is not None:
            stream.close()


@pytest.mark.parametrize("moment", [1, 100, 1000])
def test_kill_9_loses_no_acknowledged_record_and_frees_the_lock(
    directory: Path, driver: Driver, clock: object, moment: int
) -> None:
    """Everything that was reported as committed is there, in order, and the next driver starts at once."""
    promised = max(driver.acknowledged(moment), driver.kill())
    with Journal.open(directory, clock, durability="none") as journal:  # type: ignore[arg-type]
        records = [record for record in journal.records() if record["type"] == "a"]
        assert len(records) >= promised
        assert [record["number"] for record in records] == list(range(len(records)))


def test_readers_see_a_consistent_prefix_while_a_driver_writes(directory: Path, driver: Driver) -> None:
    """Polling during the writing never shows damage, a gap or half a record."""
    driver.acknowledged(1)
    reader = JournalReader(directory)
    seen = 0
    while seen < 3000:
        for record in reader.poll():
            assert record["seq"] == seen + 1
            seen += 1
        if select.select([driver.output], [], [], 0)[0]:
            driver.output.readline()
        else:
            os.sched_yield()


def test_a_driver_that_stands_still_keeps_its_lock(directory: Path, driver: Driver, clock: object) -> None:
    """A stopped process is no dead one: the second driver is refused with its process number."""
    driver.acknowledged(1)
    driver.process.send_signal(signal.SIGSTOP)
    with pytest.raises(LockedError, match=f"process {driver.process.pid} "):
        Journal.open(directory, clock)  # type: ignore[arg-type]
    driver.process.send_signal(signal.SIGCONT)
    assert driver.acknowledged(2) >= 2


def test_the_lock_is_free_although_a_forked_child_lives(directory: Path, clock: object) -> None:
    """A child that the driver forked outlives its kill -9 and does not lock the experiment."""
    child = "os.write(1, b'child\\n'); os.read(int(sys.argv[2]), 1); os._exit(0)"
    code = DRIVER.replace("number = 0", f"import os\nif os.fork() == 0:\n    {child}\nnumber = 0")
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(directory), str(read)], stdout=subprocess.PIPE, pass_fds=[read]
    )
    try:
        assert process.stdout is not None
        # It exists now and has passed the fork; its word may stand in the middle of a line of the driver.
        assert any(b"child" in line for line in iter(process.stdout.readline, b""))
        process.kill()
        process.wait()
        with Journal.open(directory, clock, durability="none") as journal:  # type: ignore[arg-type]
            assert journal.epoch == 2
    finally:
        os.close(write)  # ends the child
        os.close(read)
        process.stdout.close()  # type: ignore[union-attr]


def test_of_two_drivers_that_start_at_once_one_gets_in(directory: Path, clock: object) -> None:
    """The other one is refused; the journal holds exactly one new epoch."""
    Journal.create(directory, clock, durability="none").close()  # type: ignore[arg-type]
    code = (
        "import sys\nfrom hyperband.clock import VirtualClock\nfrom hyperband.errors import LockedError\n"
        "from hyperband.journal import Journal\nsys.stdin.readline()\n"
        "try:\n    journal = Journal.open(sys.argv[1], VirtualClock(), durability='none')\n"
        "except LockedError:\n    print('locked', flush=True)\nelse:\n    print('in', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for racer in racers:
        racer.stdin.write("go\n")  # type: ignore[union-attr]
        racer.stdin.flush()  # type: ignore[union-attr]
    answers = sorted(racer.stdout.readline().strip() for racer in racers)  # type: ignore[union-attr]
    for racer in racers:
        racer.communicate("end\n")
    assert answers == ["in", "locked", "locked"]
    assert [record["epoch"] for record in read_records(directory)] == [1, 2]


def test_a_driver_may_die_at_every_call_of_its_start(
    two_epochs: Path,
    clock: object,
    in_child: Callable[[Callable[[], object]], int],
    die_at: Callable[[int], None],
) -> None:
    """Killed at any step of repairing a torn tail and taking an epoch: no record is lost, and the next one starts."""
    whole = list(read_records(two_epochs))
    with (two_epochs / "000002.jsonl").open("ab") as file:
        file.write(b'{"seq":7,"type":"torn')
    damaged = two_epochs.rename(two_epochs.with_name("damaged"))

    def start(number: int) -> None:
        die_at(number)
        journal = Journal.open(two_epochs, clock)  # type: ignore[arg-type]
        journal.append({"type": "more"})
        journal.commit()

    for number in itertools.count():
        shutil.copytree(damaged, two_epochs)
        status = in_child(lambda number=number: start(number))  # type: ignore[misc]
        assert list(read_records(two_epochs))[:6] == whole
        with Journal.open(two_epochs, clock, durability="none") as journal:  # type: ignore[arg-type]
            records = list(journal.records())
        assert records[:6] == whole
        assert [record["type"] for record in records[6:]] in ([], ["epoch"], ["epoch", "more"])
        shutil.rmtree(two_epochs)
        if status == 0:
            break
        assert status == 9
    assert number > 12
    assert [record["type"] for record in records[6:]] == ["epoch", "more"]
