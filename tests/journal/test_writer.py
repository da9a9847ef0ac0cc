"""Laws of the single writer."""

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hyperband.clock import VirtualClock
from hyperband.errors import (
    ConfigurationError,
    ExperimentExistsError,
    ExperimentNotFoundError,
    InternalError,
    LockedError,
    StorageError,
)
from hyperband.journal import Journal, read_records

Open = Callable[[], Journal]


def test_numbers_are_consecutive_across_drivers(two_epochs: Path) -> None:
    """Each driver's first record begins its epoch, and the numbers go on."""
    records = list(read_records(two_epochs))
    assert [record["seq"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert [record["type"] for record in records] == ["epoch", "experiment", "start", "epoch", "committed", "promote"]
    assert [record["epoch"] for record in records if record["type"] == "epoch"] == [1, 2]


def test_the_beginning_of_an_epoch_names_its_driver(open_journal: Open, directory: Path, clock: VirtualClock) -> None:
    """Process, host and time are there for people."""
    open_journal()
    (record,) = read_records(directory)
    assert record == {
        "seq": 1,
        "type": "epoch",
        "epoch": 1,
        "format": 1,
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "wall": clock.wall(),
    }


def test_append_tells_the_number_and_commit_makes_it_readable(open_journal: Open, directory: Path) -> None:
    """What is appended is not written before the commit, and all of it is written by it."""
    journal = open_journal()
    assert journal.append({"type": "a"}) == 2
    assert journal.append({"type": "b"}) == 3
    assert len(list(read_records(directory))) == 1
    journal.commit()
    assert [record["type"] for record in read_records(directory)] == ["epoch", "a", "b"]


def test_records_are_those_before_this_driver(open_journal: Open) -> None:
    """A resumed driver gets everything that earlier ones committed and nothing of its own."""
    with open_journal() as journal:
        journal.append({"type": "a"})
    with open_journal() as journal:
        journal.append({"type": "b"})
        journal.commit()
        assert [record["type"] for record in journal.records()] == ["epoch", "a"]
        assert [record["type"] for record in journal.records()] == ["epoch", "a"]


def test_a_bad_record_leaves_the_journal_as_it_was(open_journal: Open, directory: Path) -> None:
    """Illegal input raises and changes nothing."""
    with open_journal() as journal:
        with pytest.raises(InternalError):
            journal.append({"type": "a", "value": {1, 2}})
        assert journal.append({"type": "b"}) == 2
    assert [record["type"] for record in read_records(directory)] == ["epoch", "b"]


def test_create_leaves_an_existing_experiment_untouched(two_epochs: Path, clock: VirtualClock) -> None:
    """Not a byte of it changes, not even of its lock."""
    before = {path.name: path.read_bytes() for path in two_epochs.iterdir()}
    with pytest.raises(ExperimentExistsError, match=re.escape("hb.resume")):
        Journal.create(two_epochs, clock)
    assert {path.name: path.read_bytes() for path in two_epochs.iterdir()} == before


def test_a_journal_that_was_never_begun_counts_as_new(directory: Path, clock: VirtualClock) -> None:
    """A driver killed right after the create must not block the name for ever."""
    Journal.create(directory, clock, durability="none").close()
    with Journal.create(directory, clock, durability="none") as journal:
        assert journal.epoch == 2
        journal.append({"type": "experiment"})
    with pytest.raises(ExperimentExistsError):
        Journal.create(directory, clock, durability="none")


def test_an_empty_last_file_is_a_driver_killed_at_birth(two_epochs: Path, open_journal: Open) -> None:
    """It is passed over, and the next driver takes the next number."""
    (two_epochs / "000003.jsonl").touch()
    assert len(list(read_records(two_epochs))) == 6
    with open_journal() as journal:
        assert journal.epoch == 4
        assert journal.repaired is None
        assert len(list(journal.records())) == 6
    assert [record["seq"] for record in read_records(two_epochs)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_missing_experiment_is_named(tmp_path: Path, clock: VirtualClock) -> None:
    """The message has the path and the next step."""
    with pytest.raises(ExperimentNotFoundError, match=r"nowhere.*hb\.run"):
        Journal.open(tmp_path / "nowhere" / "journal", clock)
    with pytest.raises(ExperimentNotFoundError, match="nowhere"):
        read_records(tmp_path / "nowhere" / "journal")
    assert not (tmp_path / "nowhere").exists()


def test_an_unknown_durability_is_refused(directory: Path, clock: VirtualClock) -> None:
    """Before anything is made."""
    with pytest.raises(ConfigurationError, match='must be "full" or "none"'):
        Journal.create(directory, clock, durability="ful")
    assert not directory.exists()


def test_files_are_private(directory: Path, clock: VirtualClock) -> None:
    """Directories 0700 and files 0600, whatever the umask says."""
    previous = os.umask(0)
    try:
        Journal.create(directory, clock, durability="none").close()
    finally:
        os.umask(previous)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_full_durability_syncs_once_a_commit(
    directory: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of records costs one sync, an empty commit none, and no durability none at all."""
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), real(handle))[1])
    with Journal.create(directory, clock, durability="full") as journal:
        assert len(synced) >= 3  # the file, its directory, and the directories made for it
        synced.clear()
        for _ in range(10):
            journal.append({"type": "a"})
        journal.commit()
        journal.commit()
        assert len(synced) == 1
    synced.clear()
    with Journal.open(directory, clock, durability="none") as journal:
        journal.append({"type": "a"})
    assert synced == []


def test_after_a_failed_sync_nothing_is_written_any_more(
    directory: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second sync may lie, so there is none; the experiment can be opened again."""
    calls = []

    def fail(handle: int) -> None:
        calls.append(handle)
        raise OSError(5, "Input/output error")

    journal = Journal.create(directory, clock, durability="full")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        journal.append({"type": "a"})
        with pytest.raises(StorageError, match="Input/output error"):
            journal.commit()
        with pytest.raises(StorageError, match="takes no more records"):
            journal.commit()
        with pytest.raises(StorageError, match="takes no more records"):
            journal.append({"type": "b"})
        size = (directory / "000001.jsonl").stat().st_size
        journal.close()
        assert len(calls) == 1
    assert (directory / "000001.jsonl").stat().st_size == size
    with Journal.open(directory, clock) as journal:
        assert journal.epoch == 2


def test_a_full_disk_costs_only_what_was_not_committed(
    directory: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that stops half-way leaves a torn tail, which the next driver repairs."""
    real = os.write
    journal = Journal.create(directory, clock, durability="none")
    journal.append({"type": "safe"})
    journal.commit()
    room = [25]

    def limited(handle: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = real(handle, bytes(data)[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", limited)
        journal.append({"type": "lost"})
        with pytest.raises(StorageError, match="No space left"):
            journal.commit()
    journal.close()
    with Journal.open(directory, clock, durability="none") as journal:
        assert journal.repaired is not None
        assert [record["type"] for record in journal.records()] == ["epoch", "safe"]


def test_an_interrupted_commit_is_never_written_twice(open_journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between write and bookkeeping: the journal refuses rather than repeat the records."""
    journal = open_journal()
    real = os.write

    def interrupted(handle: int, data: bytes) -> int:
        real(handle, data)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        journal.append({"type": "a"})
        with pytest.raises(KeyboardInterrupt):
            journal.commit()
    with pytest.raises(StorageError, match="interrupted"):
        journal.commit()
    journal.close()
    with open_journal() as again:
        assert [record["type"] for record in again.records()] == ["epoch", "a"]


def test_a_closed_journal_takes_nothing(open_journal: Open, directory: Path) -> None:
    """Closing commits what was appended, once."""
    journal = open_journal()
    journal.append({"type": "a"})
    journal.close()
    journal.close()
    with pytest.raises(StorageError, match="closed"):
        journal.append({"type": "b"})
    assert [record["type"] for record in read_records(directory)] == ["epoch", "a"]


def test_a_second_driver_is_refused_and_told_who_holds_it(
    open_journal: Open, directory: Path, clock: VirtualClock
) -> None:
    """Host, process and start of the first one are in the message; the first goes on."""
    first = open_journal()
    with pytest.raises(LockedError, match=rf"process {os.getpid()} on host '.*', since 2023-11-14 22:13:20 UTC"):
        Journal.open(directory, clock)
    with pytest.raises(LockedError):
        Journal.create(directory, clock)
    first.append({"type": "a"})
    first.close()
    assert len(list(read_records(directory))) == 2
    assert json.loads((directory / "lock").read_text())["pid"] == os.getpid()


def test_a_lock_with_odd_content_still_locks(open_journal: Open, directory: Path, clock: VirtualClock) -> None:
    """The text is for people; the kernel holds the lock."""
    open_journal()
    for content in (b"", b"\xff", b"[1]", b'{"wall": 1e400}', b'{"wall": "x", "pid": "\\u001b[2J"}'):
        (directory / "lock").write_bytes(content)
        with pytest.raises(LockedError) as caught:
            Journal.open(directory, clock)
        assert "\x1b" not in str(caught.value)


def test_a_driver_whose_lock_file_was_deleted_is_fenced(open_journal: Open, directory: Path) -> None:
    """The epoch is the second fence: after a newer driver began, the old one cannot write."""
    old = open_journal()
    old.append({"type": "late"})
    (directory / "lock").unlink()
    new = open_journal()
    new.append({"type": "new"})
    new.commit()
    with pytest.raises(LockedError, match="epoch 2"):
        old.commit()
    old.close()
    assert [record["type"] for record in read_records(directory)] == ["epoch", "epoch", "new"]


def test_an_epoch_is_taken_once(two_epochs: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks do not work, the exclusive create still lets only one of two drivers in."""
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    real = os.open

    def racing(path: object, *args: object, **kwargs: object) -> int:
        if str(path).endswith("000003.jsonl"):
            os.close(real(path, os.O_CREAT | os.O_WRONLY))  # type: ignore[arg-type]
        return real(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", racing)
    with pytest.raises(LockedError, match="epoch 3"):
        Journal.open(two_epochs, clock)


def test_a_read_only_storage_fails_at_the_start(
    two_epochs: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any training, and with the reason."""
    real = os.open

    def read_only(path: object, flags: int, *args: object, **kwargs: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(30, "Read-only file system")
        return real(path, flags, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(StorageError, match="Read-only file system"):
        Journal.open(two_epochs, clock)


def test_a_forked_child_cannot_write(
    open_journal: Open, directory: Path, in_child: Callable[[Callable[[], object]], int]
) -> None:
    """It shares the parent's buffer, and would write the same records twice."""
    journal = open_journal()
    journal.append({"type": "a"})

    def use_it() -> None:
        for call in (journal.commit, lambda: journal.append({"type": "b"})):
            with pytest.raises(StorageError, match="belongs to the parent"):
                call()
        journal.close()

    assert in_child(use_it) == 0
    journal.close()
    assert len(list(read_records(directory))) == 2
