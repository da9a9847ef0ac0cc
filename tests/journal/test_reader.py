"""Laws of reading while somebody writes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.clock import VirtualClock
from hyperband.errors import JournalDamagedError
from hyperband.journal import Journal, JournalReader, read_records

Open = Callable[[], Journal]


def test_poll_returns_each_record_once(open_journal: Open, directory: Path) -> None:
    """Also across drivers, and nothing when nothing was added."""
    journal = open_journal()
    reader = JournalReader(directory)
    assert [record["seq"] for record in reader.poll()] == [1]
    assert reader.poll() == []
    journal.append({"type": "a"})
    journal.append({"type": "b"})
    assert reader.poll() == []
    journal.close()
    assert [record["seq"] for record in reader.poll()] == [2, 3]
    with open_journal() as journal:
        journal.append({"type": "c"})
    assert [record["type"] for record in reader.poll()] == ["epoch", "c"]
    assert reader.poll() == []


@settings(derandomize=True, max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 900), max_size=8).map(sorted))
def test_polling_at_any_moment_gives_the_whole_journal_in_pieces(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However the bytes arrive, the pieces joined are the journal, and no poll shows half a record."""
    source = tmp_path_factory.mktemp("source") / "journal"
    with Journal.create(source, VirtualClock(), durability="none") as journal:
        for number in range(8):
            journal.append({"type": "a", "number": number})
    data = (source / "000001.jsonl").read_bytes()
    target = tmp_path_factory.mktemp("target")
    reader = JournalReader(target)
    seen = reader.poll()
    done = 0
    for cut in [*cuts, len(data)]:
        with (target / "000001.jsonl").open("ab") as file:
            file.write(data[done:cut])
        done = max(done, min(cut, len(data)))
        seen += reader.poll()
    assert seen == list(read_records(source))


def test_a_reader_survives_a_repair(open_journal: Open, directory: Path) -> None:
    """It never took the torn tail for records, so the cut changes nothing for it."""
    open_journal().close()
    path = directory / "000001.jsonl"
    path.write_bytes(path.read_bytes() + b'{"seq":2,"ty')
    reader = JournalReader(directory)
    assert len(reader.poll()) == 1
    with open_journal() as journal:
        assert journal.repaired is not None
        assert "12 bytes after byte" in journal.repaired
        journal.append({"type": "a"})
    assert [record["type"] for record in reader.poll()] == ["epoch", "a"]


def test_a_reader_never_writes(open_journal: Open, directory: Path) -> None:
    """Reading a journal with a torn tail leaves every byte and adds no file."""
    open_journal().close()
    path = directory / "000001.jsonl"
    path.write_bytes(path.read_bytes() + b"{")
    before = {entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in directory.iterdir()}
    list(read_records(directory))
    JournalReader(directory).poll()
    assert {entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in directory.iterdir()} == before


def test_damage_is_reported_at_every_poll(open_journal: Open, directory: Path) -> None:
    """A reader does not step over damage by asking twice."""
    open_journal().close()
    reader = JournalReader(directory)
    reader.poll()
    with (directory / "000001.jsonl").open("ab") as file:
        file.write(b"garbage\n")
    for _ in range(2):
        with pytest.raises(JournalDamagedError, match=r"line 2 \(byte"):
            reader.poll()


def test_a_file_that_became_shorter_is_damage(open_journal: Open, directory: Path) -> None:
    """What a reader has shown cannot be taken back silently."""
    journal = open_journal()
    journal.append({"type": "a"})
    journal.close()
    reader = JournalReader(directory)
    reader.poll()
    path = directory / "000001.jsonl"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(JournalDamagedError, match="became shorter"):
        reader.poll()


def test_a_moved_experiment_reads_and_goes_on(two_epochs: Path, tmp_path: Path, clock: VirtualClock) -> None:
    """No path is written into a journal."""
    whole = list(read_records(two_epochs))
    moved = two_epochs.parent.rename(tmp_path / "elsewhere") / "journal"
    assert list(read_records(moved)) == whole
    assert all(str(tmp_path) not in path.read_text() for path in moved.iterdir())
    with Journal.open(moved, clock, durability="none") as journal:
        assert journal.epoch == 3


def test_long_lines_and_many_lines_cross_read_buffers(open_journal: Open, directory: Path) -> None:
    """A line longer than one read, and a file of several reads, come back whole."""
    with open_journal() as journal:
        journal.append({"type": "long", "text": "x" * 3_000_000})
        for number in range(20_000):
            journal.append({"type": "a", "number": number})
    records = list(read_records(directory))
    assert len(records[1]["text"]) == 3_000_000
    assert [record["number"] for record in records[2:]] == list(range(20_000))
