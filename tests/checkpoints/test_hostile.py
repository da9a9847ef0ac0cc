"""A checkpoint store against names, links and files that somebody else has put there."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from hyperband.checkpoints import CheckpointStore, Encoded, encode
from hyperband.errors import CheckpointDamagedError, ConfigurationError, StorageError

ENTRIES = {"model": encode("model", {"w": [1.5, 2.5]}), "empty": Encoded("pickle", b"")}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """A store without fsync."""
    return CheckpointStore(tmp_path / "checkpoints", durability="none")


def everything(root: Path) -> list[str]:
    """All files and directories below."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


HOSTILE: list[Any] = ["..", "../x", "/etc", "0/../..", "", "1", -1, 1.0, True, None, 2**63, b"1", "\0", ".", "\u0661"]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
@pytest.mark.parametrize("field", ["trial", "resource", "attempt"])
def test_only_integers_become_paths(store: CheckpointStore, field: str, value: Any) -> None:
    """Nothing outside is read, written or deleted, whatever a journal from elsewhere says."""
    canary = store.root.parent / "canary"
    canary.write_text("alive")
    good = store.commit(0, 1, 1, ENTRIES)
    bad = dataclasses.replace(good, **{field: value})
    for call in (store.load, store.delete, lambda c: store.commit(c.trial, c.resource, c.attempt, ENTRIES)):
        with pytest.raises(ConfigurationError, match=f"`{field}` of a checkpoint is"):
            call(bad)
    assert canary.read_text() == "alive"
    assert store.list_files() == {store.file_of(good)}


def test_a_link_in_place_of_a_file_leads_nowhere(tmp_path: Path) -> None:
    """It is not read, not written through and not deleted through; the link itself may go."""
    store, outside = (CheckpointStore(tmp_path / name, "none") for name in ("inside", "outside"))
    checkpoint = store.commit(5, 1, 1, ENTRIES)
    other = outside.commit(5, 1, 1, {"state": encode("state", "theirs")})
    theirs = (outside.root / "5-1-1.ckpt").read_bytes()
    link = store.root / "5-1-1.ckpt"

    def put() -> None:
        link.unlink(missing_ok=True)
        link.symlink_to(outside.root / "5-1-1.ckpt")

    put()
    for handle in (checkpoint, other):
        with pytest.raises(CheckpointDamagedError, match="link"):
            store.load(handle)
    with pytest.raises(StorageError, match="exists with other bytes"):
        store.commit(5, 1, 1, ENTRIES)
    assert store.list_files() == set()
    assert store.remove_orphans([]) == []
    assert link.is_symlink()
    store.commit(5, 1, 1, ENTRIES, replace_orphan=True)
    assert not link.is_symlink()
    assert store.load(checkpoint).entries == ENTRIES
    put()
    store.delete(checkpoint)
    assert everything(store.root) == []
    assert (outside.root / "5-1-1.ckpt").read_bytes() == theirs
    assert everything(outside.root) == ["5-1-1.ckpt"]


def test_a_link_to_nowhere_is_not_written_through(tmp_path: Path) -> None:
    """Not even where a file would be made."""
    store = CheckpointStore(tmp_path / "inside", "none")
    checkpoint = store.commit(5, 1, 1, ENTRIES)
    store.delete(checkpoint)
    (store.root / "5-1-1.ckpt").symlink_to(tmp_path / "made")
    with pytest.raises(StorageError, match="exists with other bytes"):
        store.commit(5, 1, 1, ENTRIES)
    assert not (tmp_path / "made").exists()


def test_a_link_in_place_of_the_directory_leads_nowhere(tmp_path: Path) -> None:
    """The checkpoints of another experiment are not read, added to, listed or swept away."""
    store, outside = (CheckpointStore(tmp_path / name, "none") for name in ("inside", "outside"))
    checkpoint = outside.commit(5, 1, 1, ENTRIES)
    store.root.symlink_to(outside.root)
    with pytest.raises(CheckpointDamagedError, match="link"):
        store.load(checkpoint)
    with pytest.raises(StorageError, match="could not be written"):
        store.commit(5, 3, 1, ENTRIES)
    with pytest.raises(StorageError, match="could not be deleted"):
        store.delete(checkpoint)
    assert store.list_files() == set()
    assert store.remove_orphans([]) == []
    assert everything(outside.root) == ["5-1-1.ckpt"]


def test_a_pipe_or_directory_in_place_of_a_file_is_no_checkpoint(store: CheckpointStore) -> None:
    """It is no file of ours; a pipe does not block, and a directory is not deleted blindly."""
    checkpoint = store.commit(5, 1, 1, ENTRIES)
    path = store.root / "5-1-1.ckpt"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointDamagedError, match="no regular file"):
        store.load(checkpoint)
    path.unlink()
    (path / "mine").mkdir(parents=True)
    with pytest.raises(CheckpointDamagedError, match="no regular file"):
        store.load(checkpoint)
    with pytest.raises(StorageError, match="5/1-1"):
        store.delete(checkpoint)
    for replace in (False, True):
        with pytest.raises(StorageError, match="5/1-1"):
            store.commit(5, 1, 1, ENTRIES, replace_orphan=replace)
    assert everything(store.root) == ["5-1-1.ckpt", "5-1-1.ckpt/mine"]
