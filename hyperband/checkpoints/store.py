"""Checkpoints on disk: ``<root>/<trial>/<resource>-<attempt>/`` with a payload and a manifest.

The protocol, and why each step is there:

1. Everything is written into a new directory beside the target whose name begins with a dot: payload first, manifest
   last, both synced. A crash leaves a dot directory, which nobody reads and ``remove_orphans`` deletes.
2. One rename gives it its name. A checkpoint therefore exists completely or not at all, and as a rename never replaces
   a directory that has content, a committed one is never overwritten.
3. Its handle (``messages.Checkpoint``) carries the SHA-256 of the manifest, which carries those of the entries.
   ``load`` verifies all before it hands out a byte, so nothing is decoded that the journal does not vouch for.

Paths are made of three integers only and opened step by step relative to the root without following links.
"""

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hyperband.checkpoints import files
from hyperband.checkpoints import manifest as manifests
from hyperband.checkpoints.codec import Encoded, decode
from hyperband.errors import CheckpointDamagedError, ConfigurationError, StorageError, UnknownNameError, suggest
from hyperband.messages import Checkpoint

MANIFEST: Final = "manifest.json"
PAYLOAD: Final = "state.bin"

_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_TRIAL: Final = re.compile(_NUMBER)
_CHECKPOINT: Final = re.compile(rf"{_NUMBER}-{_NUMBER}")
_TEMPORARY: Final = re.compile(rf"\.{_NUMBER}-{_NUMBER}\.[0-9a-f]{{16}}")
_OCCUPIED: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_TRIES: Final = 16


@dataclass(frozen=True, slots=True)
class Saved:
    """The verified content of a checkpoint; nothing in it has been decoded yet."""

    checkpoint: Checkpoint
    entries: dict[str, Encoded]
    python: str  #: version of Python that wrote it
    libraries: dict[str, str]  #: versions of the libraries whose objects are inside
    code: str  #: what identifies the user's code, as given to ``commit``

    def decode(self, name: str) -> Any:
        """Return the object of one entry (see ``codec.decode``).

        Raises:
            UnknownNameError: There is no such entry.
            StateError: It cannot be rebuilt here.
        """
        if name not in self.entries:
            message = f"the checkpoint `{self.checkpoint.name}` has no entry `{name}`.{suggest(name, self.entries)}"
            raise UnknownNameError(message)
        return decode(self.entries[name], name)


class CheckpointStore:
    """The checkpoints of one experiment; holds no open files, so it may be sent to a worker.

    Args:
        root: ``<experiment>/checkpoints``; made by the first commit if missing, its parent must exist.
        durability: "full": a commit survives a power cut (fsync); "none": it survives a killed process only.

    Raises:
        ConfigurationError: The durability is neither.
    """

    __slots__ = ("durability", "root")

    def __init__(self, root: Path | str, durability: str = "full") -> None:
        if durability not in ("full", "none"):
            hint = suggest(str(durability), ("full", "none"))
            message = f'`durability` is {durability!r}, must be "full" or "none".{hint}'
            raise ConfigurationError(message)
        self.root = Path(root).absolute()
        self.durability = durability

    def commit(
        self,
        trial: int,
        resource: int,
        attempt: int,
        entries: Mapping[str, Encoded],
        *,
        code: str = "",
        replace_orphan: bool = False,
    ) -> Checkpoint:
        """Write a checkpoint and return its handle; when this returns it is complete under its name, and durable.

        Writing the same bytes under the same name again is no error and changes nothing.

        Args:
            trial: Id of the trial, >= 0.
            resource: Units trained, >= 0.
            attempt: Number of the attempt, >= 0.
            entries: Encoded objects by name.
            code: Whatever identifies the user's code; recorded, not interpreted.
            replace_orphan: Put this checkpoint in the place of other bytes of the same name. Only for the single
                writer, and only for a name that the journal disowns: the old one is renamed away first, so between
                the two renames the name is missing, never half.

        Raises:
            StorageError: The storage refuses, or the name is taken by other bytes.
        """
        parent, target = _number(trial, "trial"), _name(resource, attempt)
        data, checkpoint = manifests.build(trial, resource, attempt, entries, code)
        temporary = f".{target}.{os.urandom(8).hex()}"
        try:
            handle = self._make_temporary(parent, temporary)
            try:
                self._fill(handle, temporary, entries, data)
                self._publish(handle, temporary, checkpoint, replace_orphan=replace_orphan)
            except BaseException:
                with contextlib.suppress(OSError):
                    files.remove(handle, temporary)
                raise
            finally:
                os.close(handle)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            message = (
                f"the checkpoint `{checkpoint.name}` could not be written to `{self.root}`: {error.strerror}; earlier "
                "checkpoints are safe; make the storage writable (space, quota, permissions) and resume"
            )
            raise StorageError(message) from error
        return checkpoint

    def load(self, checkpoint: Checkpoint) -> Saved:
        """Return the content of a checkpoint after verifying every byte of it; decodes nothing.

        Raises:
            CheckpointDamagedError: A file is missing, cut, or not the one that was committed; names the file.
            FormatVersionError: It was written by a newer version.
            StorageError: The storage refuses to be read.
        """
        name = f"{_number(checkpoint.trial, 'trial')}/{_name(checkpoint.resource, checkpoint.attempt)}"
        where = self.root / name
        with contextlib.ExitStack() as stack:
            handle = stack.enter_context(files.opened(str(self.root), os.O_RDONLY | os.O_DIRECTORY, None, where))
            for part in name.split("/"):
                handle = stack.enter_context(files.opened(part, files.DIRECTORY, handle, where))
            file = stack.enter_context(files.opened(MANIFEST, files.READ, handle, where / MANIFEST))
            data = files.read(file, where / MANIFEST, manifests.MAX_MANIFEST)
            manifest = manifests.parse(data, checkpoint, str(where / MANIFEST))
            payload = stack.enter_context(files.opened(PAYLOAD, files.READ, handle, where / PAYLOAD))
            if os.fstat(payload).st_size != checkpoint.size:
                found = os.fstat(payload).st_size
                files.damaged(where / PAYLOAD, f"it has {found} bytes, {checkpoint.size} were committed")
            entries = {}
            for entry in manifest.entries:
                content = files.read(payload, where / PAYLOAD, entry.size)
                if hashlib.sha256(content).hexdigest() != entry.sha256:
                    files.damaged(where / PAYLOAD, f"the SHA-256 of its entry `{entry.name}` is not the committed one")
                entries[entry.name] = Encoded(entry.codec, content, manifest.written_by)
        return Saved(checkpoint, entries, manifest.python, manifest.libraries, manifest.code)

    def delete(self, checkpoint: Checkpoint) -> None:
        """Remove a checkpoint, and its trial's directory if nothing else is there; a missing one is no error.

        Raises:
            StorageError: The storage refuses, or something foreign lies inside.
        """
        trial = _number(checkpoint.trial, "trial")
        try:
            self._delete(trial, [_name(checkpoint.resource, checkpoint.attempt)])
        except FileNotFoundError:
            return
        except OSError as error:
            message = f"the checkpoint `{checkpoint.name}` in `{self.root}` could not be deleted: {error.strerror}"
            raise StorageError(message) from error

    def list_names(self) -> set[str]:
        """Return the names (``<trial>/<resource>-<attempt>``) of all checkpoints that are there."""
        return {f"{trial}/{name}" for trial, name in self._scan() if _CHECKPOINT.fullmatch(name)}

    def remove_orphans(self, known_names: Iterable[str]) -> list[str]:
        """Delete temporary directories, and checkpoints that the journal disowns; return their names, sorted.

        Only the single writer may call this, when it opens the experiment and before it starts a worker.

        Args:
            known_names: Names of all checkpoints that the journal committed and did not release.

        Raises:
            StorageError: The storage refuses.
        """
        known = set(known_names)
        doomed: dict[str, list[str]] = {}
        for trial, name in self._scan():
            if f"{trial}/{name}" not in known:
                doomed.setdefault(trial, []).append(name)
        try:
            for trial, names in doomed.items():
                self._delete(trial, names)
        except OSError as error:
            message = f"orphaned checkpoints in `{self.root}` could not be deleted: {error.strerror}"
            raise StorageError(message) from error
        return sorted(f"{trial}/{name}" for trial, names in doomed.items() for name in names)

    def _scan(self) -> Iterator[tuple[str, str]]:
        """Yield trial and name of everything that looks like ours; links and foreign files are passed over."""
        for trial in files.directories(self.root):
            if _TRIAL.fullmatch(trial):
                for name in files.directories(self.root / trial):
                    if _CHECKPOINT.fullmatch(name) or _TEMPORARY.fullmatch(name):
                        yield trial, name

    def _make_temporary(self, trial: str, temporary: str) -> int:
        """Make the temporary directory, and what is missing above it; return a handle of the trial's directory."""
        tries = _TRIES
        while True:
            tries -= 1
            try:
                handle = self._open_trial(trial)
                try:
                    os.mkdir(temporary, 0o700, dir_fd=handle)
                except BaseException:
                    os.close(handle)
                    raise
            except FileNotFoundError:  # a concurrent ``delete`` has just removed the trial's empty directory
                if not tries:
                    raise
            else:
                return handle

    def _open_trial(self, trial: str) -> int:
        """Return a handle of the trial's directory, made if missing."""
        root = self._open_root()
        try:
            with contextlib.suppress(FileNotFoundError):
                return os.open(trial, files.DIRECTORY, dir_fd=root)
            with contextlib.suppress(FileExistsError):
                os.mkdir(trial, 0o700, dir_fd=root)
            if self.durability == "full":
                os.fsync(root)
            return os.open(trial, files.DIRECTORY, dir_fd=root)
        finally:
            os.close(root)

    def _open_root(self) -> int:
        """Return a handle of the root, made if missing; a deleted experiment above it is not brought back."""
        try:
            return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            self.root.mkdir(mode=0o700, exist_ok=True)
            if self.durability == "full":
                files.sync(self.root.parent)
            return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)

    def _fill(self, handle: int, temporary: str, entries: Mapping[str, Encoded], manifest: bytes) -> None:
        """Write both files, the manifest last."""
        directory = os.open(temporary, files.DIRECTORY, dir_fd=handle)
        try:
            for name, parts in ((PAYLOAD, [entry.data for entry in entries.values()]), (MANIFEST, [manifest])):
                file = os.open(name, files.CREATE, 0o600, dir_fd=directory)
                try:
                    for part in parts:
                        files.write(file, part)
                    if self.durability == "full":
                        os.fsync(file)
                finally:
                    os.close(file)
            if self.durability == "full":
                os.fsync(directory)
        finally:
            os.close(directory)

    def _publish(self, handle: int, temporary: str, checkpoint: Checkpoint, *, replace_orphan: bool) -> None:
        """Give the temporary directory its name."""
        target = _name(checkpoint.resource, checkpoint.attempt)
        for _ in range(_TRIES):
            try:
                os.rename(temporary, target, src_dir_fd=handle, dst_dir_fd=handle)
                break
            except OSError as error:
                if error.errno not in _OCCUPIED:
                    raise
            if self._is_there(checkpoint):
                files.remove(handle, temporary)
                break
            if not replace_orphan:
                message = (
                    f"the checkpoint `{checkpoint.name}` in `{self.root}` exists with other bytes and was left alone; "
                    "it is no part of the journal if a driver died while writing it: resume removes it then"
                )
                raise StorageError(message)
            orphan = f".{target}.{os.urandom(8).hex()}"
            with contextlib.suppress(FileNotFoundError):
                os.rename(target, orphan, src_dir_fd=handle, dst_dir_fd=handle)
                files.remove(handle, orphan)
        else:
            message = f"the checkpoint `{checkpoint.name}` in `{self.root}` is being written by somebody else as well"
            raise StorageError(message)
        if self.durability == "full":
            os.fsync(handle)

    def _is_there(self, checkpoint: Checkpoint) -> bool:
        """Tell whether exactly these bytes are there under this name."""
        try:
            self.load(checkpoint)
        except CheckpointDamagedError:
            return False
        return True

    def _delete(self, trial: str, names: list[str]) -> None:
        """Remove directories of one trial, and the trial's own if that leaves it empty."""
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            handle = os.open(trial, files.DIRECTORY, dir_fd=root)
            try:
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        files.remove(handle, name)
            finally:
                os.close(handle)
            try:
                os.rmdir(trial, dir_fd=root)
            except OSError as error:
                if error.errno not in _OCCUPIED and error.errno != errno.ENOENT:
                    raise
        finally:
            os.close(root)


# --- names -----------------------------------------------------------------------------------


def _number(value: int, what: str) -> str:
    """Return a path part of one integer; nothing else ever becomes a path."""
    if type(value) is not int or not 0 <= value < 2**63:
        message = f"`{what}` of a checkpoint is {value!r:.80}, must be an integer >= 0"
        raise ConfigurationError(message)
    return str(value)


def _name(resource: int, attempt: int) -> str:
    return f"{_number(resource, 'resource')}-{_number(attempt, 'attempt')}"
