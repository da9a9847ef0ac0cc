"""The manifest of a checkpoint: what is in its payload, who wrote it, and how to tell that it is whole.

JSON only; its SHA-256 is what the journal vouches for, and it vouches for every entry of the payload.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hyperband.checkpoints.codec import Encoded
from hyperband.errors import CheckpointDamagedError, FormatVersionError
from hyperband.messages import Checkpoint

#: Version of the checkpoint format.
FORMAT: Final = 1
_PYTHON: Final = platform.python_version()
_JSON: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
#: Bytes that a manifest may have; read before its digest is known to be right, so it must be bounded.
MAX_MANIFEST: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One named object in the payload."""

    name: str
    codec: str
    offset: int  #: bytes from the beginning of the payload
    size: int  #: bytes
    sha256: str  #: 64 hex digits


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the manifest says."""

    entries: tuple[Entry, ...]
    python: str  #: version of Python that wrote it
    libraries: dict[str, str]  #: versions of the libraries whose objects are inside
    code: str  #: what identifies the user's code, as the caller gave it

    @property
    def written_by(self) -> tuple[tuple[str, str], ...]:
        """Python and the libraries, as ``Encoded`` carries them."""
        return ("python", self.python), *self.libraries.items()


def build(
    trial: int, resource: int, attempt: int, entries: Mapping[str, Encoded], code: str
) -> tuple[bytes, Checkpoint]:
    """Return the bytes of the manifest and the handle that names them."""
    libraries: dict[str, str] = {}
    listed = []
    offset = 0
    for name, encoded in entries.items():
        size = len(encoded.data)
        digest = hashlib.sha256(encoded.data).hexdigest()
        listed.append({"name": name, "codec": encoded.codec, "offset": offset, "size": size, "sha256": digest})
        offset += size
        libraries.update(encoded.written_by)
    libraries.pop("python", None)
    body = {
        "format": FORMAT,
        "trial": trial,
        "resource": resource,
        "attempt": attempt,
        "size": offset,
        "python": _PYTHON,
        "libraries": dict(sorted(libraries.items())),
        "code": code,
        "entries": listed,
    }
    data = _JSON.encode(body).encode("ascii") + b"\n"
    return data, Checkpoint(trial, resource, attempt, hashlib.sha256(data).hexdigest(), offset)


def parse(data: bytes, checkpoint: Checkpoint, file: str) -> Manifest:
    """Return the manifest in ``data`` after checking it against the handle.

    Args:
        data: Bytes of the manifest.
        checkpoint: The handle from the journal.
        file: What error messages call the file.

    Raises:
        CheckpointDamagedError: Its digest is not the handle's, or it describes another checkpoint.
        FormatVersionError: It was written by a newer version.
    """
    if hashlib.sha256(data).hexdigest() != checkpoint.digest:
        message = (
            f"the checkpoint file `{file}` is damaged: the SHA-256 of its manifest is not the one in the journal; "
            "it was not used"
        )
        raise CheckpointDamagedError(message)
    try:
        body: Any = json.loads(data)
        version = body["format"]
        if version != FORMAT:
            message = f"the checkpoint file `{file}` has format {version!r}, this version reads {FORMAT}"
            raise FormatVersionError(message)
        entries = tuple(Entry(**entry) for entry in body["entries"])
        manifest = Manifest(entries, str(body["python"]), dict(body["libraries"]), str(body["code"]))
        named = (body["trial"], body["resource"], body["attempt"], body["size"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"the checkpoint file `{file}` is damaged: it is not a manifest ({error}); it was not used"
        raise CheckpointDamagedError(message) from error
    expected = (checkpoint.trial, checkpoint.resource, checkpoint.attempt, checkpoint.size)
    if named != expected or not _contiguous(entries, checkpoint.size):
        message = f"the checkpoint file `{file}` is damaged: it describes another payload; it was not used"
        raise CheckpointDamagedError(message)
    return manifest


def _contiguous(entries: tuple[Entry, ...], total: int) -> bool:
    """Tell whether the entries cover ``total`` bytes in order, without gap or overlap."""
    offset = 0
    for entry in entries:
        if type(entry.size) is not int or entry.size < 0 or entry.offset != offset:
            return False
        offset += entry.size
    return offset == total and len({entry.name for entry in entries}) == len(entries)
