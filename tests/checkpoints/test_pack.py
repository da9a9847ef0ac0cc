"""Laws of packs: several small checkpoints in one file, each as safe as one alone."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.checkpoints import CheckpointStore, encode
from hyperband.errors import CheckpointDamagedError, StorageError
from hyperband.messages import Checkpoint, checkpoint_from_json, checkpoint_to_json


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """An empty store."""
    return CheckpointStore(tmp_path / "checkpoints", "none")


def items(count: int, first: int = 0) -> list[tuple[int, int, int, dict[str, object]]]:
    """Checkpoints to write, each with a state of its own."""
    return [(first + n, 3, 1, {"state": encode("state", {"n": n, "pad": "x" * n})}) for n in range(count)]


def test_each_member_comes_back_as_if_it_were_alone(store: CheckpointStore) -> None:
    """One file; the handles survive JSON."""
    written = store.commit_pack(items(7))
    assert len(store.list_files()) == 1
    for n, checkpoint in enumerate(written):
        handle = checkpoint_from_json(checkpoint_to_json(checkpoint))
        assert handle == checkpoint
        assert store.load(handle).decode("state") == {"n": n, "pad": "x" * n}
    [alone] = store.commit_pack(items(1, first=100))
    assert alone.pack == ""
    assert store.load(alone).decode("state") == {"n": 0, "pad": ""}


def test_the_digest_does_not_depend_on_the_pack(store: CheckpointStore) -> None:
    """Where a state lies is no part of what it is."""
    packed = store.commit_pack(items(3))
    alone = [CheckpointStore(store.root.parent / str(n), "none").commit(*item) for n, item in enumerate(items(3))]
    assert [c.digest for c in packed] == [c.digest for c in alone]


@given(order=st.permutations(range(5)), cut=st.integers(0, 5))
@settings(derandomize=True, max_examples=20)
def test_a_pack_goes_with_its_last_member_whatever_the_order_and_after_a_restart(
    order: list[int], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Members that are left stay readable; releasing one twice counts once."""
    store = CheckpointStore(tmp_path_factory.mktemp("pack") / "checkpoints", "none")
    written = store.commit_pack(items(5))
    left = list(written)
    for step, place in enumerate(order):
        if step == cut:  # another driver takes over
            store = CheckpointStore(store.root, "none")
            store.remove_orphans(left)
        store.delete(written[place])
        store.delete(written[place])
        left.remove(written[place])
        assert len(store.list_files()) == bool(left)
        for checkpoint in left:
            store.load(checkpoint)


def test_every_changed_byte_of_a_pack_is_noticed_by_its_member(store: CheckpointStore) -> None:
    """And by no other one."""
    written = store.commit_pack(items(3))
    path = store.root / written[0].pack
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x41
        path.write_bytes(damaged)
        for checkpoint in written:
            if checkpoint.offset <= place < checkpoint.offset + checkpoint.length:
                with pytest.raises(CheckpointDamagedError):
                    store.load(checkpoint)
            else:
                store.load(checkpoint)


def test_a_cut_pack_loses_only_what_was_cut(store: CheckpointStore) -> None:
    """The members before the cut are whole."""
    written = store.commit_pack(items(3))
    path = store.root / written[0].pack
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        for checkpoint in written:
            if checkpoint.offset + checkpoint.length <= length:
                store.load(checkpoint)
            else:
                with pytest.raises(CheckpointDamagedError):
                    store.load(checkpoint)


@pytest.mark.parametrize(
    "pack", ["../../etc/passwd", "pack-3-xyz.ckpt", "/etc/passwd", "1-1-1.ckpt", "pack-0-0123456789abcdef.ckpt", "."]
)
def test_a_handle_that_names_no_pack_opens_nothing(pack: str, store: CheckpointStore) -> None:
    """A forged journal cannot make us read or delete another file."""
    victim = store.commit(1, 1, 1, items(1)[0][3])
    forged = Checkpoint(2, 3, 1, victim.digest, victim.size, pack, 0, 500)
    with pytest.raises(CheckpointDamagedError):
        store.load(forged)
    with pytest.raises(CheckpointDamagedError):
        store.delete(forged)
    store.load(victim)


@pytest.mark.parametrize("change", [{"offset": -1}, {"offset": 10**9}, {"length": 3}, {"length": 10**9}, {"trial": 9}])
def test_a_handle_with_a_wrong_place_is_damage(change: dict[str, int], store: CheckpointStore) -> None:
    """Never an exception of another kind."""
    written = store.commit_pack(items(3))
    with pytest.raises(CheckpointDamagedError):
        store.load(replace(written[1], **change))


def test_orphaned_packs_are_swept(store: CheckpointStore) -> None:
    """A pack that the journal knows nothing of goes; temporary files too."""
    known, orphan = store.commit_pack(items(3)), store.commit_pack(items(3, first=50))
    temporary = store.root / ".pack-3.0123456789abcdef.tmp"
    temporary.write_bytes(b"half")
    assert store.remove_orphans(known[:1]) == sorted([temporary.name, orphan[0].pack])
    assert store.list_files() == {known[0].pack}
    store.delete(known[0])
    assert store.list_files() == set()


def test_a_pack_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """A storage error names the experiment; no half file stays."""
    (tmp_path / "file").write_text("")
    store = CheckpointStore(tmp_path / "file" / "checkpoints", "none")
    with pytest.raises(StorageError, match="could not be written"):
        store.commit_pack(items(3))
