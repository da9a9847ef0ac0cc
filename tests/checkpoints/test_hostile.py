"""A checkpoint store against names, links and files that somebody else has put there."""

import dataclasses
import os
from collections.abc import Iterable
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
    assert store.list_names() == {good.name}


def links(root: Path, outside: Path) -> Iterable[tuple[Path, Path]]:
    """Places in a checkpoint where somebody could put a link, and where it would lead."""
    yield root / "5", outside / "5"
    yield root / "5" / "1-1", outside / "5" / "1-1"
    yield root / "5" / "1-1" / "state.bin", outside / "5" / "1-1" / "state.bin"
    yield root / "5" / "1-1" / "manifest.json", outside / "5" / "1-1" / "manifest.json"


@pytest.mark.parametrize("place", range(4))
def test_links_lead_nowhere(tmp_path: Path, place: int) -> None:
    """A link in place of a directory or file is not followed: not read, not written through, not deleted through."""
    store, outside = (CheckpointStore(tmp_path / name, "none") for name in ("inside", "outside"))
    checkpoint = store.commit(5, 1, 1, ENTRIES)
    outside.commit(5, 1, 1, ENTRIES)
    before = everything(outside.root)
    link, target = list(links(store.root, outside.root))[place]
    link.rename(tmp_path / "aside")
    link.symlink_to(target)
    with pytest.raises(CheckpointDamagedError, match="link"):
        store.load(checkpoint)
    if place == 0:
        with pytest.raises(StorageError):
            store.commit(5, 3, 1, ENTRIES)
        with pytest.raises(StorageError):
            store.delete(checkpoint)
        assert store.remove_orphans([]) == []
    else:
        store.delete(checkpoint)
        assert not (store.root / "5").exists()
    assert everything(outside.root) == before


def test_a_pipe_in_place_of_a_file_does_not_block(store: CheckpointStore) -> None:
    """It is no file of ours."""
    checkpoint = store.commit(5, 1, 1, ENTRIES)
    for name in ("state.bin", "manifest.json"):
        path = store.root / "5/1-1" / name
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(CheckpointDamagedError):
            store.load(checkpoint)


def test_something_foreign_inside_is_not_deleted_blindly(store: CheckpointStore) -> None:
    """A directory inside a checkpoint is not ours: the delete stops and says so."""
    checkpoint = store.commit(5, 1, 1, ENTRIES)
    (store.root / "5/1-1/mine").mkdir()
    with pytest.raises(StorageError, match="5/1-1"):
        store.delete(checkpoint)
    assert (store.root / "5/1-1/mine").exists()
