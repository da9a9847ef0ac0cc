"""Laws of checkpoints on disk."""

import dataclasses
import hashlib
import itertools
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
    FormatVersionError,
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


def everything(root: Path) -> list[str]:
    """All files and directories below."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


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
    assert everything(store.root) == ["17", "17/27-1", "17/27-1/manifest.json", "17/27-1/state.bin"]


def test_an_unknown_entry_is_named(store: CheckpointStore) -> None:
    """With the near one."""
    with pytest.raises(UnknownNameError, match=r"no entry `modell`\. Did you mean `model`"):
        store.load(store.commit(0, 1, 1, ENTRIES)).decode("modell")


def test_the_digest_is_that_of_the_manifest(store: CheckpointStore) -> None:
    """Anybody can verify a checkpoint with sha256sum and the journal."""
    checkpoint = store.commit(0, 1, 1, ENTRIES)
    manifest = (store.root / "0/1-1/manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == checkpoint.digest


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


# --- damage ----------------------------------------------------------------------------------


def test_every_flipped_byte_is_detected(store: CheckpointStore) -> None:
    """In payload and manifest, all eight bits at once and the lowest alone."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    for name in ("manifest.json", "state.bin"):
        path = store.root / "3/9-1" / name
        data = path.read_bytes()
        for position in range(len(data)):
            for mask in (0xFF, 0x01):
                path.write_bytes(data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :])
                with pytest.raises(CheckpointDamagedError, match=name):
                    store.load(checkpoint)
        path.write_bytes(data)
    assert store.load(checkpoint).entries == ENTRIES


def test_every_cut_and_any_added_byte_is_detected(store: CheckpointStore) -> None:
    """A file that is shorter or longer than what was committed is not used."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    for name in ("manifest.json", "state.bin"):
        path = store.root / "3/9-1" / name
        data = path.read_bytes()
        for changed in [data[:length] for length in range(len(data))] + [data + b"\0", bytes(len(data))]:
            path.write_bytes(changed)
            with pytest.raises(CheckpointDamagedError, match=name):
                store.load(checkpoint)
        path.unlink()
        with pytest.raises(CheckpointDamagedError, match=name):
            store.load(checkpoint)
        path.write_bytes(data)


def test_a_missing_checkpoint_is_named(store: CheckpointStore) -> None:
    """As damage: the journal says that it was there."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    store.delete(checkpoint)
    with pytest.raises(CheckpointDamagedError, match="3/9-1"):
        store.load(checkpoint)


class Canary:
    """Unpickling it leaves a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled_before_its_digest_is_verified(store: CheckpointStore, tmp_path: Path) -> None:
    """A pickle that is not the committed one never runs, even if its own manifest vouches for it."""
    ran = tmp_path / "ran"
    checkpoint = store.commit(0, 1, 1, {"state": encode("state", Canary(ran))})
    assert not ran.exists()
    forged_store = CheckpointStore(tmp_path / "forged", "none")
    forged = forged_store.commit(0, 1, 1, {"state": encode("state", {"evil": Canary(ran)})})
    for name in ("state.bin", "manifest.json"):
        (store.root / "0/1-1" / name).write_bytes((forged_store.root / "0/1-1" / name).read_bytes())
        with pytest.raises(CheckpointDamagedError):
            store.load(checkpoint).decode("state")
    with pytest.raises(CheckpointDamagedError):
        store.load(dataclasses.replace(forged, digest=checkpoint.digest))
    assert not ran.exists()
    store.load(forged).decode("state")
    assert ran.exists()  # the canary sings when it is let out


def forge(store: CheckpointStore, checkpoint: Checkpoint, old: bytes, new: bytes) -> Checkpoint:
    """Change the manifest and vouch for the change, as a hostile journal could."""
    path = store.root / checkpoint.name / "manifest.json"
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    return dataclasses.replace(checkpoint, digest=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"trial":3', b'"trial":4'),
        (b'"attempt":1', b'"attempt":2'),
        (b'"offset":0', b'"offset":1'),
        (b'"offset":0', b'"offset":-1'),
        (b'"size":', b'"size":-'),
        (b'"name":"state"', b'"name":"model"'),
        (b'"entries"', b'"entires"'),
        (b'"codec"', b'"kodec"'),
        (b"{", b"["),
        (b"{", b"[" * 100_000),
        (b'"libraries":{}', b'"libraries":7'),
    ],
)
def test_a_manifest_that_contradicts_itself_is_damage(store: CheckpointStore, old: bytes, new: bytes) -> None:
    """Even with the right digest."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    with pytest.raises(CheckpointDamagedError, match="manifest"):
        store.load(forge(store, checkpoint, old, new))


def test_a_newer_format_is_named(store: CheckpointStore) -> None:
    """Not called damage of the bytes."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    with pytest.raises(FormatVersionError, match="has format 2, this version reads 1"):
        store.load(forge(store, checkpoint, b'"format":1', b'"format":2'))


# --- one name, one content -------------------------------------------------------------------


def test_a_checkpoint_is_never_overwritten(store: CheckpointStore) -> None:
    """Other bytes under the same name are refused, and leave no trace."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    before = everything(store.root)
    with pytest.raises(StorageError, match="exists with other bytes"):
        store.commit(3, 9, 1, {"state": encode("state", 1)})
    assert store.load(checkpoint).entries == ENTRIES
    assert everything(store.root) == before


def test_committing_the_same_again_changes_nothing(store: CheckpointStore) -> None:
    """A repeated write is idempotent."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    inode = (store.root / "3/9-1").stat().st_ino
    assert store.commit(3, 9, 1, ENTRIES) == checkpoint
    assert (store.root / "3/9-1").stat().st_ino == inode
    assert len(everything(store.root)) == 4


def test_an_orphan_is_replaced_only_on_request(store: CheckpointStore) -> None:
    """The new one is complete, and nothing of the old is left."""
    old = store.commit(3, 9, 1, {"state": encode("state", 1)})
    new = store.commit(3, 9, 1, ENTRIES, replace_orphan=True)
    assert store.load(new).entries == ENTRIES
    with pytest.raises(CheckpointDamagedError):
        store.load(old)
    assert len(everything(store.root)) == 4


def test_a_damaged_orphan_is_replaced_too(store: CheckpointStore) -> None:
    """What a power cut left of it does not matter."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    (store.root / "3/9-1/state.bin").write_bytes(b"")
    assert store.commit(3, 9, 1, ENTRIES, replace_orphan=True) == checkpoint
    assert store.load(checkpoint).entries == ENTRIES


@pytest.mark.parametrize("call", ["write", "mkdir", "fsync", "rename"])
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
    assert store.list_names() == {"3/3-1"}
    assert everything(store.root / "3") == ["3-1", "3-1/manifest.json", "3-1/state.bin"]
    assert store.load(kept).entries == ENTRIES
    assert store.load(store.commit(3, 9, 1, ENTRIES)).entries == ENTRIES


def test_a_worker_may_die_at_every_call_of_a_commit(
    tmp_path: Path, in_child: Callable[[Callable[[], object]], int], die_at: Callable[[int], None]
) -> None:
    """There is the whole checkpoint or none, earlier ones are untouched, and the sweep leaves nothing else."""
    store = CheckpointStore(tmp_path / "checkpoints", "full")
    kept = store.commit(3, 3, 1, ENTRIES)
    wanted = CheckpointStore(tmp_path / "other", "none").commit(4, 9, 1, ENTRIES)

    def commit(number: int) -> None:
        die_at(number)
        store.commit(4, 9, 1, ENTRIES)

    seen = set()
    for number in itertools.count():
        status = in_child(lambda number=number: commit(number))  # type: ignore[misc]
        complete = wanted.name in store.list_names()
        if complete:
            assert store.load(wanted).entries == ENTRIES
        seen.add((status, complete))
        assert all(name.startswith("4/.9-1.") for name in store.remove_orphans({kept.name, wanted.name}))
        assert store.list_names() == {kept.name} | ({wanted.name} if complete else set())
        store.delete(wanted)
        assert everything(store.root) == ["3", "3/3-1", "3/3-1/manifest.json", "3/3-1/state.bin"]
        if status == 0:
            break
    assert seen == {(9, False), (9, True), (0, True)}
    assert store.load(kept).entries == ENTRIES


def test_a_worker_may_die_at_every_call_of_a_replacement_or_delete(
    store: CheckpointStore, in_child: Callable[[Callable[[], object]], int], die_at: Callable[[int], None]
) -> None:
    """Under the name there is the old, the new or nothing, never a mixture; a repeated call completes it."""
    old = store.commit(3, 9, 1, {"state": encode("state", 1)})
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
            assert store.list_names() <= {old.name}
            call()
            store.remove_orphans({old.name})
            assert len(everything(store.root)) in (0, 4)
            if status == 0:
                break
            assert status == 9
        assert number > 3


def test_full_durability_syncs_before_and_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Payload, manifest and their directory before, the trial's directory after."""
    store = CheckpointStore(tmp_path / "checkpoints", "full")
    store.commit(0, 1, 1, ENTRIES)
    calls: list[str] = []
    for name in ("fsync", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _name=name, _real=real, **k: (calls.append(_name), _real(*a, **k))[1])
    store.commit(0, 3, 1, ENTRIES)
    assert calls == ["fsync", "fsync", "fsync", "rename", "fsync"]


def test_a_deleted_experiment_is_not_brought_back(tmp_path: Path) -> None:
    """A worker that outlives its experiment fails instead of making the directory again."""
    store = CheckpointStore(tmp_path / "gone" / "checkpoints")
    with pytest.raises(StorageError, match="No such file"):
        store.commit(0, 1, 1, ENTRIES)
    assert everything(tmp_path) == []


# --- deleting --------------------------------------------------------------------------------


def test_delete_removes_exactly_one_and_is_idempotent(store: CheckpointStore) -> None:
    """The trial's directory goes with its last checkpoint."""
    first, second, other = (store.commit(trial, resource, 1, ENTRIES) for trial, resource in ((3, 3), (3, 9), (30, 3)))
    store.delete(first)
    assert store.list_names() == {second.name, other.name}
    store.delete(first)
    store.delete(second)
    store.delete(second)
    assert everything(store.root) == ["30", "30/3-1", "30/3-1/manifest.json", "30/3-1/state.bin"]
    CheckpointStore(store.root / "nowhere").delete(first)


def test_orphans_are_what_the_journal_disowns(store: CheckpointStore) -> None:
    """Temporary directories and unknown checkpoints go; known and foreign things stay."""
    known, orphan, alone = (store.commit(trial, resource, 1, ENTRIES) for trial, resource in ((3, 3), (3, 9), (4, 3)))
    temporary = store.root / "3" / ".27-1.0123456789abcdef"
    temporary.mkdir()
    (temporary / "state.bin").write_bytes(b"half")
    foreign = [store.root / "notes.txt", store.root / "3" / "mine.txt", store.root / "03", store.root / "x"]
    for path in foreign:
        path.mkdir() if not path.suffix else path.write_text("mine")
    assert store.remove_orphans([known.name]) == ["3/.27-1.0123456789abcdef", orphan.name, alone.name]
    assert store.list_names() == {known.name}
    assert all(path.exists() for path in foreign)
    assert not (store.root / "4").exists()
    assert store.remove_orphans([known.name]) == []


def test_listing_an_experiment_without_checkpoints_is_empty(store: CheckpointStore) -> None:
    """And makes no directory."""
    assert store.list_names() == set()
    assert store.remove_orphans([]) == []
    assert not store.root.exists()


def test_an_unknown_durability_is_refused(tmp_path: Path) -> None:
    """With the legal words."""
    with pytest.raises(ConfigurationError, match='must be "full" or "none"'):
        CheckpointStore(tmp_path, "sync")
