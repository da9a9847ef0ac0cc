"""The file format of a checkpoint: magic, payload, manifest, trailer.

======================  =========================================================================
8 bytes                 ``hbckpt01``: what it is, and the format number
as long as they are     the entries, one after another; the manifest has their names and lengths
as long as it is        the manifest (JSON, see ``manifest``); its SHA-256 stands in the journal
8 bytes                 length of the manifest, little-endian
8 bytes                 the magic again
======================  =========================================================================

What says how to read the file stands at its end, so a file that was cut has none of it. The journal vouches for the
manifest, the manifest for every entry, and magic and length have one legal value each; there is no byte that may
change unnoticed.
"""

import hashlib
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

from hyperband.checkpoints import files
from hyperband.checkpoints import manifest as manifests
from hyperband.checkpoints.codec import Encoded
from hyperband.errors import FormatVersionError
from hyperband.messages import Checkpoint

_NAME: Final = b"hbckpt"
MAGIC: Final = b"%s%02d" % (_NAME, manifests.FORMAT)
_TRAILER: Final = struct.Struct(f"<Q{len(MAGIC)}s")
_AROUND: Final = len(MAGIC) + _TRAILER.size
#: Files up to this many bytes are read in one piece; the entries of larger ones are not copied once more.
_IN_ONE_PIECE: Final = 1 << 20


def pieces(entries: Iterable[Encoded], manifest: bytes) -> list[bytes]:
    """Return the content of the file, in pieces, so that large states need not be copied."""
    return [MAGIC, *(entry.data for entry in entries), manifest, _TRAILER.pack(len(manifest), MAGIC)]


def read(handle: int, checkpoint: Checkpoint, file: str) -> tuple[manifests.Manifest, dict[str, Encoded]]:
    """Return manifest and entries of a checkpoint after verifying every byte of it; decodes nothing.

    Args:
        handle: The open file: the checkpoint's own, or the pack that it is a part of.
        checkpoint: The handle from the journal.
        file: What error messages call the file.

    Raises:
        CheckpointDamagedError: It is not the file that was committed.
        FormatVersionError: It was written by a newer version.
        StorageError: The storage refuses to be read.
    """
    found = os.fstat(handle)
    begin = checkpoint.offset
    size = checkpoint.length if checkpoint.pack else found.st_size
    if not stat.S_ISREG(found.st_mode) or size < _AROUND or begin < 0:
        files.damaged(file, f"it has {size} bytes, fewer than any checkpoint, or is no regular file")
    whole = files.read_at(handle, begin, size, file) if size <= _IN_ONE_PIECE else None

    def part(offset: int, length: int) -> bytes:
        return files.read_at(handle, begin + offset, length, file) if whole is None else whole[offset : offset + length]

    length, last = _TRAILER.unpack(part(size - _TRAILER.size, _TRAILER.size))
    _check_magic(part(0, len(MAGIC)), last, file)
    payload = size - _AROUND - length
    if payload < 0 or payload != checkpoint.size or length > manifests.MAX_MANIFEST:
        reason = f"{size} bytes with a manifest of {length} do not hold the {checkpoint.size!r:.40} that were committed"
        files.damaged(file, reason)
    manifest = manifests.parse(part(len(MAGIC) + payload, length), checkpoint, file)
    entries = {}
    for entry in manifest.entries:
        content = part(len(MAGIC) + entry.offset, entry.size)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            files.damaged(file, f"the SHA-256 of its entry `{entry.name}` is not the committed one")
        entries[entry.name] = Encoded(entry.codec, content, manifest.written_by)
    return manifest, entries


def _check_magic(first: bytes, last: bytes, file: str) -> None:
    """Tell a file of another format, which says so at both ends, from a damaged one."""
    if first == last == MAGIC:
        return
    number = first.removeprefix(_NAME)
    if first == last and number != first and number.isdigit():
        message = f"the checkpoint file `{file}` has format {int(number)}, this version reads {manifests.FORMAT}"
        raise FormatVersionError(message)
    files.damaged(file, "it does not begin and end as a checkpoint does (cut, overwritten, or something else)")
