"""Laws of checkpoints on disk."""

import errno
import hashlib
import itertools
import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hyperband.checkpoints import CheckpointStore, Encoded, encode
from hyperband.errors import (
    CheckpointDamagedError,
    ConfigurationError,
    StorageError,
    UnknownNameError,
)
from hyperband.messages import Checkpoint

ENTRIES = {
    "model": encode("model", {"w": [1.5, 2.5]}),
    "state": encode("state", {"step": 3}),
    "empty": Encoded("pickle", b""),
}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """A store without fsync."""
    return CheckpointStore(tmp_path / "checkpoints", durability="none")


@pytest.fixture(params=["links", "no links"])
def any_file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that knows hard links, and one that does not."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


def everything(root: Path) -> list[str]:
    """All files and directories below."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def files_of(store: CheckpointStore, *checkpoints: Checkpoint) -> set[str]:
    """Names of the files that hold these checkpoints."""
    return {store.file_of(checkpoint) for checkpoint in checkpoints}


@pytest.mark.parametrize("durability", ["none", "full"])
def test_what_was_committed_is_loaded(tmp_path: Path, durability: str) -> None:
    """Entries in their order, bytes as they were, and who wrote them."""
    store = CheckpointStore(str(tmp_path / "checkpoints"), durability)
    checkpoint = store.commit(17, 27, 1, ENTRIES, code="abc")
    assert (checkpoint.trial, checkpoint.resource, checkpoint.attempt) == (17, 27, 1)
    assert checkpoint.size == sum(len(entry.data) for entry in ENTRIES.values())
    saved = store.load(checkpoint)
    assert saved.checkpoint == checkpoint
    assert saved.entries == ENTRIES
    assert list(saved.entries) == list(ENTRIES)
    assert saved.code == "abc"
    assert saved.python == ".".join(map(str, os.sys.version_info[:3]))  # type: ignore[attr-defined]
    assert saved.decode("model") == {"w": [1.5, 2.5]}
    assert everything(store.root) == ["17-27-1.ckpt"]


def test_many_and_large_entries_are_committed_too(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """More pieces and more bytes than the system takes at once."""
    many = {f"e{number}": Encoded("pickle", bytes([number % 256])) for number in range(3000)}
    assert store.load(store.commit(0, 1, 1, many)).entries == many
    large = {"a": Encoded("pickle", os.urandom(900_000)), "b": Encoded("pickle", os.urandom(900_001))}
    assert store.load(store.commit(0, 2, 1, large)).entries == large
    writev, write, pread = os.writev, os.write, os.pread
    monkeypatch.setattr(os, "writev", lambda file, pieces: writev(file, [b"".join(pieces)[:1000]]))
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:100_001]))
    monkeypatch.setattr(os, "pread", lambda file, length, offset: pread(file, min(length, 70_001), offset))
    assert store.load(store.commit(0, 3, 1, large)).entries == large
    assert store.load(store.commit(0, 4, 1, ENTRIES)).entries == ENTRIES


def test_a_checkpoint_without_entries_is_one_too(store: CheckpointStore) -> None:
    """Of zero bytes."""
    checkpoint = store.commit(0, 1, 1, {})
    assert checkpoint.size == 0
    assert store.load(checkpoint).entries == {}


def test_an_unknown_entry_is_named(store: CheckpointStore) -> None:
    """With the near one."""
    with pytest.raises(UnknownNameError, match=r"no entry `modell`\. Did you mean `model`"):
        store.load(store.commit(0, 1, 1, ENTRIES)).decode("modell")


def test_the_digest_is_that_of_the_manifest(store: CheckpointStore) -> None:
    """Anybody can verify a checkpoint with the journal and ten lines of any language."""
    checkpoint = store.commit(0, 1, 1, ENTRIES)
    data = (store.root / "0-1-1.ckpt").read_bytes()
    assert data[:8] == data[-8:] == b"hbckpt01"
    length = int.from_bytes(data[-16:-8], "little")
    manifest = data[-16 - length : -16]
    assert hashlib.sha256(manifest).hexdigest() == checkpoint.digest
    for entry in json.loads(manifest)["entries"]:
        content = data[8 + entry["offset"] :][: entry["size"]]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert content == ENTRIES[entry["name"]].data
    assert len(data) == 8 + checkpoint.size + length + 16


def test_equal_content_has_equal_bytes(store: CheckpointStore) -> None:
    """No time, host or path goes into a checkpoint."""
    assert (
        store.commit(0, 1, 1, ENTRIES).digest
        == CheckpointStore(store.root.parent / "b", "none").commit(0, 1, 1, ENTRIES).digest
    )


def test_a_moved_experiment_loads(store: CheckpointStore, tmp_path: Path) -> None:
    """Names are relative."""
    checkpoint = store.commit(0, 1, 1, ENTRIES)
    moved = store.root.rename(tmp_path / "moved")
    assert CheckpointStore(moved).load(checkpoint).entries == ENTRIES
    assert all(str(tmp_path).encode() not in path.read_bytes() for path in moved.rglob("*") if path.is_file())


def test_a_store_can_be_sent_to_a_worker(store: CheckpointStore) -> None:
    """It holds a path and a word."""
    again = pickle.loads(pickle.dumps(store))
    assert (again.root, again.durability) == (store.root, "none")


def test_files_are_private(store: CheckpointStore) -> None:
    """Directories 0700 and files 0600, whatever the umask says."""
    previous = os.umask(0)
    try:
        store.commit(0, 1, 1, ENTRIES)
    finally:
        os.umask(previous)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in [store.root, *store.root.rglob("*")]}
    assert modes == {True: 0o700, False: 0o600}


# --- one name, one content -------------------------------------------------------------------


@pytest.mark.usefixtures("any_file_system")
def test_a_checkpoint_is_never_overwritten(store: CheckpointStore) -> None:
    """Other bytes under the same name are refused, and leave no trace."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    before = everything(store.root)
    with pytest.raises(StorageError, match="exists with other bytes"):
        store.commit(3, 9, 1, {"state": encode("state", 1)})
    assert store.load(checkpoint).entries == ENTRIES
    assert everything(store.root) == before


@pytest.mark.usefixtures("any_file_system")
def test_committing_the_same_again_changes_nothing(store: CheckpointStore) -> None:
    """A repeated write is idempotent."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    inode = (store.root / "3-9-1.ckpt").stat().st_ino
    assert store.commit(3, 9, 1, ENTRIES) == checkpoint
    assert CheckpointStore(store.root, "full").commit(3, 9, 1, ENTRIES) == checkpoint
    assert (store.root / "3-9-1.ckpt").stat().st_ino == inode
    assert everything(store.root) == ["3-9-1.ckpt"]


@pytest.mark.usefixtures("any_file_system")
def test_of_two_writers_one_wins_and_none_is_overwritten(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the other one takes the name at the last moment, after everything was written."""
    other = {"state": encode("state", 1)}
    first: list[Any] = []

    def intrude(name: str) -> None:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(os, name, real)
            first.append(store.commit(3, 9, 1, other))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    intrude("link")
    with pytest.raises(StorageError, match="exists with other bytes"):
        store.commit(3, 9, 1, ENTRIES)
    assert store.load(first[0]).entries == other
    assert everything(store.root) == ["3-9-1.ckpt"]


@pytest.mark.usefixtures("any_file_system")
def test_an_orphan_is_replaced_only_on_request(store: CheckpointStore) -> None:
    """The new one is complete, and nothing of the old is left."""
    old = store.commit(3, 9, 1, {"state": encode("state", 1)})
    new = store.commit(3, 9, 1, ENTRIES, replace_orphan=True)
    assert store.load(new).entries == ENTRIES
    with pytest.raises(CheckpointDamagedError):
        store.load(old)
    assert everything(store.root) == ["3-9-1.ckpt"]


def test_a_damaged_orphan_is_replaced_too(store: CheckpointStore) -> None:
    """What a power cut left of it does not matter."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    (store.root / "3-9-1.ckpt").write_bytes(b"")
    assert store.commit(3, 9, 1, ENTRIES, replace_orphan=True) == checkpoint
    assert store.load(checkpoint).entries == ENTRIES


@pytest.mark.parametrize("call", ["open", "writev", "link", "unlink", "fsync"])
def test_a_refused_write_leaves_nothing_behind(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs this checkpoint only; afterwards the same commit works."""
    store = CheckpointStore(tmp_path / "checkpoints")
    kept = store.commit(3, 3, 1, ENTRIES)

    def refuse(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StorageError, match="No space left"):
            store.commit(3, 9, 1, ENTRIES)
    assert store.load(kept).entries == ENTRIES
    if call == "unlink":  # what cannot be removed is left for the next start
        assert store.list_files() == {"3-3-1.ckpt", "3-9-1.ckpt"}
        store.remove_orphans([kept])
    assert store.list_files() == {"3-3-1.ckpt"}
    assert everything(store.root) == ["3-3-1.ckpt"]
    assert store.load(store.commit(3, 9, 1, ENTRIES)).entries == ENTRIES


def test_a_write_that_ends_in_the_middle_leaves_nothing_behind(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes the first bytes and then is full."""
    writev = os.writev

    def refuse(*_: object) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", lambda file, pieces: writev(file, pieces[:1]))
    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(StorageError, match="No space left"):
        store.commit(3, 9, 1, ENTRIES)
    assert everything(store.root) == []


@pytest.mark.usefixtures("any_file_system")
def test_a_worker_may_die_at_every_call_of_a_commit(
    tmp_path: Path,
    in_child: Callable[[Callable[[], object]], int],
    die_at: Callable[[int], None],
    request: pytest.FixtureRequest,
) -> None:
    """There is the whole checkpoint or none, earlier ones are untouched, and the sweep leaves nothing else.

    Without hard links there may also be a name without content, which cannot be loaded and is swept like any orphan.
    """
    store = CheckpointStore(tmp_path / "checkpoints", "full")
    kept = store.commit(3, 3, 1, ENTRIES)
    wanted = CheckpointStore(tmp_path / "other", "none").commit(4, 9, 1, ENTRIES)

    def commit(number: int) -> None:
        die_at(number)
        store.commit(4, 9, 1, ENTRIES)

    seen, claimed = set(), 0
    for number in itertools.count():
        status = in_child(lambda number=number: commit(number))  # type: ignore[misc]
        complete = store.file_of(wanted) in store.list_files()
        if complete and (store.root / "4-9-1.ckpt").stat().st_size:
            assert store.load(wanted).entries == ENTRIES
        elif complete:
            claimed += 1
            with pytest.raises(CheckpointDamagedError):
                store.load(wanted)
            assert store.commit(4, 9, 1, ENTRIES, replace_orphan=True) == wanted
        seen.add((status, complete))
        assert all(name.startswith(".4-9-1.") for name in store.remove_orphans([kept, wanted]))
        assert store.list_files() == files_of(store, kept, *([wanted] if complete else []))
        store.delete(wanted)
        assert everything(store.root) == ["3-3-1.ckpt"]
        if status == 0:
            break
    assert seen == {(9, False), (9, True), (0, True)}
    assert claimed == ("no links" in str(request.node.name))
    assert store.load(kept).entries == ENTRIES


def test_a_worker_may_die_at_every_call_of_a_replacement_or_delete(
    store: CheckpointStore, in_child: Callable[[Callable[[], object]], int], die_at: Callable[[int], None]
) -> None:
    """A replacement leaves the old or the new one, a delete the old or none; a repeated call completes it."""
    path = store.root / "3-9-1.ckpt"
    store.commit(3, 9, 1, ENTRIES)
    whole = {path.read_bytes(): "new"}
    old = store.commit(3, 9, 1, {"state": encode("state", 1)}, replace_orphan=True)
    whole[path.read_bytes()] = "old"
    states = set()
    calls: list[Callable[[], object]] = [
        lambda: store.commit(3, 9, 1, ENTRIES, replace_orphan=True),
        lambda: store.delete(old),
    ]
    for call in calls:
        for number in itertools.count():
            assert store.commit(3, 9, 1, {"state": encode("state", 1)}, replace_orphan=True) == old

            def run(number: int = number, call: Callable[[], object] = call) -> None:
                die_at(number)
                call()

            status = in_child(run)
            if replaced := store.list_files() == files_of(store, old):
                states.add(whole.get(path.read_bytes(), "mixture"))
            assert replaced or call is calls[1]
            call()
            store.remove_orphans([old])
            assert everything(store.root) in ([], ["3-9-1.ckpt"])
            if status == 0:
                break
            assert status == 9
        assert number > 1
    assert states == {"old", "new"}


def test_full_durability_syncs_before_and_after_the_file_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file before, its directory after."""
    store = CheckpointStore(tmp_path / "checkpoints", "full")
    store.commit(0, 1, 1, ENTRIES)
    calls: list[str] = []
    for name in ("fsync", "link", "unlink"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _name=name, _real=real, **k: (calls.append(_name), _real(*a, **k))[1])
    store.commit(0, 3, 1, ENTRIES)
    assert calls == ["fsync", "link", "unlink", "fsync"]


def test_a_deleted_experiment_is_not_brought_back(tmp_path: Path) -> None:
    """A worker that outlives its experiment fails instead of making the directory again."""
    store = CheckpointStore(tmp_path / "gone" / "checkpoints")
    with pytest.raises(StorageError, match="No such file"):
        store.commit(0, 1, 1, ENTRIES)
    assert everything(tmp_path) == []


# --- deleting --------------------------------------------------------------------------------


def test_delete_removes_exactly_one_and_is_idempotent(store: CheckpointStore) -> None:
    """The others stay, of this trial and of trials whose number begins alike."""
    first, second, other = (store.commit(trial, resource, 1, ENTRIES) for trial, resource in ((3, 3), (3, 9), (30, 3)))
    store.delete(first)
    assert store.list_files() == files_of(store, second, other)
    store.delete(first)
    store.delete(second)
    store.delete(second)
    assert everything(store.root) == ["30-3-1.ckpt"]
    CheckpointStore(store.root / "nowhere").delete(first)


def test_orphans_are_what_the_journal_disowns(store: CheckpointStore) -> None:
    """Temporary files and unknown checkpoints go; known and foreign things stay."""
    known, orphan, alone = (store.commit(trial, resource, 1, ENTRIES) for trial, resource in ((3, 3), (3, 9), (4, 3)))
    temporary = store.root / ".3-27-1.0123456789abcdef.tmp"
    temporary.write_bytes(b"half")
    names = ["notes.txt", "03-3-1.ckpt", "3-3.ckpt", "3-3-1.ckpt.old", ".probe-0123456789abcdef", "3-3-x.ckpt", "3-3-1"]
    foreign = [store.root / name for name in names]
    for path in foreign:
        path.write_text("mine")
    foreign.append(store.root / "5-3-1.ckpt")
    foreign[-1].mkdir()
    assert store.list_files() == files_of(store, known, orphan, alone)
    assert store.remove_orphans([known]) == [temporary.name, *sorted(files_of(store, orphan, alone))]
    assert store.list_files() == files_of(store, known)
    assert all(path.exists() for path in foreign)
    assert store.remove_orphans([known]) == []


def test_listing_an_experiment_without_checkpoints_is_empty(store: CheckpointStore) -> None:
    """And makes no directory."""
    assert store.list_files() == set()
    assert store.remove_orphans([]) == []
    assert not store.root.exists()


def test_an_unknown_durability_is_refused(tmp_path: Path) -> None:
    """With the legal words."""
    with pytest.raises(ConfigurationError, match='must be "full" or "none"'):
        CheckpointStore(tmp_path, "sync")
