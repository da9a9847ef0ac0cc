"""A checkpoint file that is not the one that was committed is never used, whatever happened to it."""

import dataclasses
import hashlib
import itertools
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.checkpoints import CheckpointStore, Encoded, encode
from hyperband.errors import CheckpointDamagedError, FormatVersionError
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


def test_every_flipped_byte_is_detected(store: CheckpointStore) -> None:
    """In magic, payload, manifest and trailer, all eight bits at once and the lowest alone."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    path = store.root / "3-9-1.ckpt"
    data = path.read_bytes()
    for position in range(len(data)):
        for mask in (0xFF, 0x01):
            path.write_bytes(data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :])
            with pytest.raises(CheckpointDamagedError, match=r"3-9-1\.ckpt"):
                store.load(checkpoint)
    path.write_bytes(data)
    assert store.load(checkpoint).entries == ENTRIES


def test_every_cut_and_any_added_byte_is_detected(store: CheckpointStore) -> None:
    """A file that is shorter or longer than what was committed is not used, at either end and in the middle."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    path = store.root / "3-9-1.ckpt"
    data = path.read_bytes()
    cut = [data[:length] for length in range(len(data))] + [data[length:] for length in range(1, len(data))]
    grown = [data[:at] + b"\0" + data[at:] for at in range(0, len(data) + 1, 7)] + [data + data, data + data[-16:]]
    for changed in [*cut, *grown, data + b"\0", data + data[:1], data[:8] + data[9:] + b"\0"]:
        path.write_bytes(changed)
        with pytest.raises(CheckpointDamagedError, match=r"3-9-1\.ckpt"):
            store.load(checkpoint)


def test_blocks_that_never_reached_the_disk_are_detected(store: CheckpointStore) -> None:
    """A power cut can leave zeros in a file of the right length: at its beginning, at its end, or a block of it."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    path = store.root / "3-9-1.ckpt"
    data = path.read_bytes()
    for at in range(0, len(data), 16):
        zeros = bytes(16)[: len(data) - at]
        for changed in (
            bytes(at + 1) + data[at + 1 :],
            data[:at] + bytes(len(data) - at),
            data[:at] + zeros + data[at + 16 :],
        ):
            assert changed != data
            path.write_bytes(changed)
            with pytest.raises(CheckpointDamagedError, match=r"3-9-1\.ckpt"):
                store.load(checkpoint)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.data())
def test_no_change_of_any_kind_is_loaded(data: st.DataObject) -> None:
    """Any number of bytes replaced by any others, anywhere."""
    with tempfile.TemporaryDirectory() as root:
        store = CheckpointStore(root, "none")
        checkpoint = store.commit(3, 9, 1, ENTRIES)
        path = store.root / "3-9-1.ckpt"
        whole = path.read_bytes()
        begin = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(begin, len(whole)))
        changed = whole[:begin] + data.draw(st.binary(max_size=40)) + whole[end:]
        path.write_bytes(changed)
        if changed == whole:
            assert store.load(checkpoint).entries == ENTRIES
        else:
            with pytest.raises((CheckpointDamagedError, FormatVersionError)):
                store.load(checkpoint)


def test_swapped_files_are_detected(store: CheckpointStore) -> None:
    """Each is whole, but not the one that its name says: another trial's, another resource's, another attempt's."""
    names = [(3, 9, 1), (4, 9, 1), (3, 27, 1), (3, 9, 2)]
    checkpoints = [store.commit(*name, ENTRIES) for name in names]
    files = {checkpoint: store.root / f"{checkpoint.name.replace('/', '-')}.ckpt" for checkpoint in checkpoints}
    whole = {checkpoint: path.read_bytes() for checkpoint, path in files.items()}
    for one, other in itertools.permutations(checkpoints, 2):
        files[one].write_bytes(whole[other])
        with pytest.raises(CheckpointDamagedError, match=files[one].name):
            store.load(one)
        with pytest.raises(CheckpointDamagedError, match=files[one].name):
            store.load(dataclasses.replace(one, digest=other.digest))
        files[one].write_bytes(whole[one])


def test_a_missing_checkpoint_is_named(store: CheckpointStore) -> None:
    """As damage: the journal says that it was there."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    store.delete(checkpoint)
    with pytest.raises(CheckpointDamagedError, match=r"3-9-1\.ckpt` is damaged: it is missing"):
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
    ours, theirs = (root / "0-1-1.ckpt" for root in (store.root, forged_store.root))
    whole, evil = ours.read_bytes(), theirs.read_bytes()
    payload = {data: data[8 : 8 + size] for data, size in ((whole, checkpoint.size), (evil, forged.size))}
    for changed in (evil, whole.replace(payload[whole], payload[evil]), evil.replace(payload[evil], payload[whole])):
        ours.write_bytes(changed)
        with pytest.raises(CheckpointDamagedError):
            store.load(checkpoint).decode("state")
    ours.write_bytes(evil)
    with pytest.raises(CheckpointDamagedError):
        store.load(dataclasses.replace(forged, digest=checkpoint.digest))
    assert not ran.exists()
    store.load(forged).decode("state")
    assert ran.exists()  # the canary sings when it is let out


def forge(store: CheckpointStore, checkpoint: Checkpoint, old: bytes, new: bytes) -> Checkpoint:
    """Change the manifest and vouch for the change, as a hostile journal could."""
    path = store.root / f"{checkpoint.name.replace('/', '-')}.ckpt"
    data = path.read_bytes()
    front, manifest, magic = data[: 8 + checkpoint.size], data[8 + checkpoint.size : -16], data[-8:]
    assert old in manifest
    manifest = manifest.replace(old, new, 1)
    path.write_bytes(front + manifest + len(manifest).to_bytes(8, "little") + magic)
    return dataclasses.replace(checkpoint, digest=hashlib.sha256(manifest).hexdigest())


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
    with pytest.raises(CheckpointDamagedError, match=r"manifest|another payload"):
        store.load(forge(store, checkpoint, old, new))


@pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_length_that_cannot_be_is_damage(store: CheckpointStore, length: int) -> None:
    """Whatever the trailer claims, whatever the journal says of the size; nothing of that length is read."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    path = store.root / "3-9-1.ckpt"
    data = path.read_bytes()
    path.write_bytes(data[:-16] + length.to_bytes(8, "little") + data[-8:])
    for size in (checkpoint.size, len(data) - 24 - length, 0, -1, 2**62, "9", None):
        with pytest.raises(CheckpointDamagedError):
            store.load(dataclasses.replace(checkpoint, size=size))  # type: ignore[arg-type]


def test_a_newer_format_is_named(store: CheckpointStore) -> None:
    """Not called damage of the bytes."""
    checkpoint = store.commit(3, 9, 1, ENTRIES)
    with pytest.raises(FormatVersionError, match="has format 2, this version reads 1"):
        store.load(forge(store, checkpoint, b'"format":1', b'"format":2'))
    path = store.root / "3-9-1.ckpt"
    path.write_bytes(path.read_bytes().replace(b"hbckpt01", b"hbckpt02"))
    with pytest.raises(FormatVersionError, match=r"3-9-1\.ckpt` has format 2, this version reads 1"):
        store.load(checkpoint)
    new = store.commit(3, 9, 1, ENTRIES, replace_orphan=True)
    assert store.load(new).entries == ENTRIES
