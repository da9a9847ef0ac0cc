"""Checkpoints on disk: one file each, ``<root>/<trial>-<resource>-<attempt>.ckpt``.

The protocol, and why each step is there:

1. Everything is written into a new file beside the target whose name begins with a dot, in one call, and synced. A
   crash leaves a dot file, which nobody reads and ``remove_orphans`` deletes.
2. A hard link gives it its name, and the dot name goes. A checkpoint therefore exists completely or not at all; and as
   a link is refused where a rename would replace, a committed one is never overwritten, not even by a second writer.
3. Its handle (``messages.Checkpoint``) carries the SHA-256 of the manifest, which carries those of the entries.
   ``load`` verifies all before it hands out a byte, so nothing is decoded that the journal does not vouch for.

One file, not a directory with several: it takes one step to appear and one to go, so no half of it can stay behind;
and a small checkpoint costs a quarter of the time, as one file is made and synced instead of two and two directories.
Small checkpoints of one batch of segments share a file, a *pack* (``pack-<how many>-<random>.ckpt``): one file is
made and synced instead of sixty. Each is complete in itself, between two places that its handle names; the pack goes
when the last one in it is released. A pack holds at most ``PACK_BYTES``, and nothing larger than ``SMALL``.

One flat directory, because it stays small: what nothing can need any more is released and deleted, so it holds no more
files than there are paused trials (and the best one).

Paths are made of three integers only and opened relative to the root, and no link is followed, the root included.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from hyperband.checkpoints import container, files
from hyperband.checkpoints import manifest as manifests
from hyperband.checkpoints.codec import Encoded, decode
from hyperband.errors import ConfigurationError, DamagedError, StorageError, UnknownNameError, suggest
from hyperband.messages import Checkpoint

SUFFIX: Final = ".ckpt"
#: A checkpoint of at most so many bytes may share a file.
SMALL: Final = 1 << 16
#: A pack is closed when it has so many bytes: what it keeps alive for its last member is bounded by it.
PACK_BYTES: Final = 1 << 22

_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_CHECKPOINT: Final = re.compile(rf"{_NUMBER}-{_NUMBER}-{_NUMBER}{re.escape(SUFFIX)}")
_PACK: Final = re.compile(rf"pack-([1-9][0-9]{{0,8}})-[0-9a-f]{{16}}{re.escape(SUFFIX)}")
_TEMPORARY: Final = re.compile(rf"\.(?:pack-)?{_NUMBER}(?:-{_NUMBER}-{_NUMBER})?\.[0-9a-f]{{16}}\.tmp")


#: Trial, resource, attempt and entries of a checkpoint to write.
Item: TypeAlias = tuple[int, int, int, Mapping[str, Encoded]]


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

    __slots__ = ("_path", "_released", "durability", "root")

    def __init__(self, root: Path | str, durability: str = "full") -> None:
        if durability not in ("full", "none"):
            hint = suggest(str(durability), ("full", "none"))
            message = f'`durability` is {durability!r}, must be "full" or "none".{hint}'
            raise ConfigurationError(message)
        self.root = Path(root).absolute()
        self.durability = durability
        self._path = str(self.root)
        self._released: dict[str, set[str]] = {}  #: pack -> members that nothing needs any more

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
            replace_orphan: Put this checkpoint in the place of other bytes of the same name, in one step. Only for
                the single writer, and only for a name that the journal disowns.

        Raises:
            StorageError: The storage refuses, or the name is taken by other bytes.
        """
        stem = _stem(trial, resource, attempt)
        manifest, checkpoint = manifests.build(trial, resource, attempt, entries, code)
        pieces = container.pieces(entries.values(), manifest)

        def settle(root: int, temporary: str) -> None:
            self._settle(root, temporary, checkpoint, replace_orphan=replace_orphan)

        self._write(stem, stem + SUFFIX, pieces, f"the checkpoint `{checkpoint.name}`", settle)
        return checkpoint

    def commit_pack(self, items: Sequence[Item], *, code: str = "") -> list[Checkpoint]:
        """Write several small checkpoints as one file; as durable as ``commit``, for the price of one.

        Args:
            items: Trial, resource, attempt and entries of each.
            code: Whatever identifies the user's code; recorded, not interpreted.

        Returns:
            Their handles, in the order of the items.

        Raises:
            StorageError: The storage refuses; then none of them exists.
        """
        if len(items) == 1:
            return [self.commit(*items[0], code=code)]
        name = f"pack-{len(items)}-{os.urandom(8).hex()}"
        pieces: list[bytes] = []
        checkpoints = []
        offset = 0
        for trial, resource, attempt, entries in items:
            manifest, checkpoint = manifests.build(trial, resource, attempt, entries, code)
            own = container.pieces(entries.values(), manifest)
            length = sum(map(len, own))
            checkpoints.append(replace(checkpoint, pack=name + SUFFIX, offset=offset, length=length))
            pieces += own
            offset += length
        self._write(f"pack-{len(items)}", name + SUFFIX, pieces, f"the {len(items)} checkpoints of a pack")
        return checkpoints

    def _write(
        self,
        stem: str,
        name: str,
        pieces: Sequence[bytes],
        what: str,
        settle: Callable[[int, str], None] | None = None,
    ) -> None:
        """Write a file under a temporary name, sync it, and give it its own; what fails leaves nothing.

        Args:
            stem: Beginning of the temporary name.
            name: Its own name.
            pieces: Its content.
            what: What error messages call it.
            settle: What to do with the finished temporary file if the name is taken; None: that is an error.
        """
        temporary = f".{stem}.{os.urandom(8).hex()}.tmp"
        durable = self.durability == "full"
        try:
            root = self._open_root()
            try:
                files.write_new(root, temporary, pieces, durable=durable)
                try:
                    files.publish(root, temporary, name)
                except FileExistsError:
                    if settle is None:
                        raise
                    settle(root, temporary)
                if durable:
                    os.fsync(root)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=root)
                raise
            finally:
                os.close(root)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            message = (
                f"{what} could not be written to `{self.root}`: {error.strerror}; earlier "
                "checkpoints are safe; make the storage writable (space, quota, permissions) and resume"
            )
            raise StorageError(message) from error

    def load(self, checkpoint: Checkpoint) -> Saved:
        """Return the content of a checkpoint after verifying every byte of it; decodes nothing.

        Raises:
            CheckpointDamagedError: The file is missing, cut, or not the one that was committed; names the file.
            FormatVersionError: It was written by a newer version.
            StorageError: The storage refuses to be read.
        """
        name = self.file_of(checkpoint)
        handle = files.open_to_read(self._path, name)
        try:
            manifest, entries = container.read(handle, checkpoint, f"{self._path}/{name}")
        finally:
            os.close(handle)
        return Saved(checkpoint, entries, manifest.python, manifest.libraries, manifest.code)

    def delete(self, checkpoint: Checkpoint) -> None:
        """Remove a checkpoint; a missing one is no error. A pack is removed with its last member.

        Called by one thread of the single writer.

        Raises:
            StorageError: The storage refuses, or something foreign has its name.
        """
        name = self.file_of(checkpoint)
        if checkpoint.pack:
            released = self._released.setdefault(name, set())
            released.add(checkpoint.name)
            if len(released) < _members(name):
                return
            del self._released[name]
        try:
            self._unlink([name])
        except OSError as error:
            message = f"the checkpoint `{checkpoint.name}` in `{self.root}` could not be deleted: {error.strerror}"
            raise StorageError(message) from error

    def file_of(self, checkpoint: Checkpoint) -> str:
        """Return the name of the file that holds a checkpoint, relative to the root.

        Raises:
            CheckpointDamagedError: Its handle names something that can be no pack.
        """
        if not checkpoint.pack:
            return _stem(checkpoint.trial, checkpoint.resource, checkpoint.attempt) + SUFFIX
        if not _PACK.fullmatch(checkpoint.pack):
            files.damaged(f"{self._path}/{checkpoint.pack!r:.80}", "no pack has such a name")
        return checkpoint.pack

    def list_files(self) -> set[str]:
        """Return the names of all complete files with checkpoints, relative to the root."""
        return {file for file in self._scan() if not file.startswith(".")}

    def remove_orphans(self, known: Iterable[Checkpoint]) -> list[str]:
        """Delete temporary files, and checkpoints that the journal disowns; remember who is left in which pack.

        Only the single writer may call this, while no worker is writing.

        Args:
            known: All checkpoints that the journal committed and did not release.

        Returns:
            Names of the deleted files, sorted.

        Raises:
            StorageError: The storage refuses.
        """
        kept: dict[str, set[str]] = {}
        for checkpoint in known:
            kept.setdefault(self.file_of(checkpoint), set()).add(checkpoint.name)
        doomed = sorted(self._scan() - kept.keys())
        self._released = {
            file: {f"gone-{number}" for number in range(_members(file) - len(names))}
            for file, names in kept.items()
            if _PACK.fullmatch(file)
        }
        if not doomed:
            return []
        try:
            self._unlink(doomed)
        except OSError as error:
            message = f"orphaned checkpoints in `{self.root}` could not be deleted: {error.strerror}"
            raise StorageError(message) from error
        return doomed

    def _scan(self) -> set[str]:
        """Return the files that look like ours; links, directories and foreign files are passed over."""
        try:
            root = os.open(self._path, files.DIRECTORY)
            try:
                with os.scandir(root) as listed:
                    ours = [entry.name for entry in listed if entry.is_file(follow_symlinks=False)]
            finally:
                os.close(root)
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except OSError as error:
            message = f"the checkpoints in `{self.root}` cannot be listed: {error.strerror}; check the permissions"
            raise StorageError(message) from error
        return {file for file in ours if any(kind.fullmatch(file) for kind in (_CHECKPOINT, _PACK, _TEMPORARY))}

    def _open_root(self) -> int:
        """Return a handle of the root, made if missing; a deleted experiment above it is not brought back."""
        try:
            return os.open(self._path, files.DIRECTORY)
        except FileNotFoundError:
            self.root.mkdir(mode=0o700, exist_ok=True)
            if self.durability == "full":
                files.sync(str(self.root.parent), os.O_RDONLY | os.O_DIRECTORY)
            return os.open(self._path, files.DIRECTORY)

    def _settle(self, root: int, temporary: str, checkpoint: Checkpoint, *, replace_orphan: bool) -> None:
        """Decide what happens to a finished file whose name is taken."""
        name = _stem(checkpoint.trial, checkpoint.resource, checkpoint.attempt) + SUFFIX
        if self._is_there(checkpoint):
            os.unlink(temporary, dir_fd=root)
            if self.durability == "full":  # whoever wrote it may not have synced
                files.sync(name, files.READ, root)
        elif replace_orphan:
            os.rename(temporary, name, src_dir_fd=root, dst_dir_fd=root)
        else:
            message = (
                f"the checkpoint `{checkpoint.name}` in `{self.root}` exists with other bytes and was left alone; "
                "it is no part of the journal if a driver died while writing it: resume removes it then"
            )
            raise StorageError(message)

    def _is_there(self, checkpoint: Checkpoint) -> bool:
        """Tell whether exactly these bytes are there under this name."""
        try:
            self.load(checkpoint)
        except DamagedError:
            return False
        return True

    def _unlink(self, names: Iterable[str]) -> None:
        """Remove files of the root; a link put in place of one goes itself, not what it leads to."""
        with contextlib.suppress(FileNotFoundError):
            root = os.open(self._path, files.DIRECTORY)
            try:
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=root)
            finally:
                os.close(root)


def _members(pack: str) -> int:
    """Return how many checkpoints were written into a pack; its name says it."""
    return int(pack.split("-")[1])


def _stem(trial: int, resource: int, attempt: int) -> str:
    """Return the file name without suffix; nothing but these integers ever becomes a path."""
    for value, what in ((trial, "trial"), (resource, "resource"), (attempt, "attempt")):
        if type(value) is not int or not 0 <= value < 2**63:
            message = f"`{what}` of a checkpoint is {value!r:.80}, must be an integer >= 0"
            raise ConfigurationError(message)
    return f"{trial}-{resource}-{attempt}"
