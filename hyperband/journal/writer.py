"""Writing a journal: one driver, group commit, and repair of a torn tail.

The rules that make a crash at any moment harmless:

* A driver writes only into the file it created itself (its epoch), so it never has to trust the end of a file.
* ``append`` only buffers; ``commit`` is one write of whole lines and one fsync. What was committed survives.
* After a failed or interrupted commit nothing is written any more: a kernel may drop the pages of a failed fsync and
  report success for the next one, so trying again would claim a durability that is not there.
* A torn tail is copied aside, cut and synced *before* the next epoch is created.
"""

import os
import socket
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from hyperband.clock import Clock
from hyperband.errors import (
    ConfigurationError,
    ExperimentExistsError,
    HyperbandError,
    LockedError,
    StorageError,
    suggest,
)
from hyperband.journal.lock import DriverLock
from hyperband.journal.reader import JournalReader, epochs, file_name
from hyperband.journal.record import FORMAT, encode_line

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW


class Journal:
    """The single writer of an experiment's journal; made by ``create`` or ``open``, a context manager.

    One thread uses it. A forked child loses it: there every call raises ``StorageError``.

    Attributes:
        directory: The journal directory.
        epoch: Number of this driver, from 1.
        repaired: What was cut off and where it was put, or None if the journal was whole.
        seq: Number of the last appended record.
    """

    def __init__(self, directory: Path, lock: DriverLock, reader: JournalReader, durability: str) -> None:
        """Use ``create`` or ``open`` instead."""
        self.directory = directory
        self.epoch = reader.position[0] + 1
        self.repaired: str | None = None
        self.seq, self._crc = reader.chain
        self._sync = durability == "full"
        self._lock = lock
        self._handle = -1
        self._buffer: list[bytes] = []
        self._fault: str | None = None
        self._successor = directory / file_name(self.epoch + 1)
        this = weakref.ref(self)
        # Without this a forked child (a data loader of the user) would keep the lock when the driver dies.
        os.register_at_fork(after_in_child=lambda: _disown(this()))

    @classmethod
    def create(cls, directory: Path | str, clock: Clock, *, durability: str = "full") -> Self:
        """Begin the journal of a new experiment.

        A journal in which no driver wrote anything yet (killed right after its creation) counts as new.

        Args:
            directory: ``<experiment>/journal``; made, with its parents, if missing.
            clock: Its wall time stands in the first record.
            durability: "full": a commit survives a power cut (fsync); "none": it survives a killed process only.

        Raises:
            ExperimentExistsError: There are records already; nothing was changed.
            LockedError: Another driver is just beginning it.
            StorageError: The storage refuses.
        """
        path = _checked(directory, durability)
        try:
            _make_directory(path)
        except OSError as error:
            message = f"the directory `{path}` cannot be made: {error.strerror}; is the storage writable?"
            raise StorageError(message) from error
        _refuse_history(path)
        return cls._begin(path, clock, durability, new=True)

    @classmethod
    def open(cls, directory: Path | str, clock: Clock, *, durability: str = "full") -> Self:
        """Take the next epoch of an existing journal, after verifying all of it and cutting a torn tail.

        Args:
            directory: ``<experiment>/journal``.
            clock: Its wall time stands in the new epoch's first record.
            durability: As for ``create``.

        Raises:
            ExperimentNotFoundError: There is no such directory.
            LockedError: Another driver is writing; the message names it.
            JournalDamagedError: A line is not the one that was written; nothing was changed.
            FormatVersionError: It was written by a newer version.
            StorageError: The storage refuses.
        """
        path = _checked(directory, durability)
        epochs(path)
        return cls._begin(path, clock, durability, new=False)

    @classmethod
    def _begin(cls, directory: Path, clock: Clock, durability: str, *, new: bool) -> Self:
        lock = DriverLock(directory, clock.wall())
        try:
            if new:
                _refuse_history(directory)
            reader = JournalReader(directory)
            for _ in reader.advance():
                pass
            journal = cls(directory, lock, reader, durability)
            try:
                journal.repaired = _cut_torn_tail(directory, *reader.position)
                journal._take_epoch(clock)
            except BaseException:
                journal._drop()
                raise
        except OSError as error:
            lock.release()
            if isinstance(error, HyperbandError):
                raise
            message = f"the journal `{directory}` cannot be written: {error.strerror}; is the storage writable?"
            raise StorageError(message) from error
        except BaseException:
            lock.release()
            raise
        return journal

    def _take_epoch(self, clock: Clock) -> None:
        """Create this driver's file exclusively and write its first record."""
        path = self.directory / file_name(self.epoch)
        try:
            self._handle = os.open(path, _CREATE, 0o600)
        except FileExistsError as error:
            message = f"another driver has just taken epoch {self.epoch} (`{path}`); wait for it, then resume"
            raise LockedError(message) from error
        self.append(
            {
                "type": "epoch",
                "epoch": self.epoch,
                "format": FORMAT,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "wall": clock.wall(),
            }
        )
        self.commit()
        if self._sync:
            _sync_directory(self.directory)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield every record of the epochs before this one, oldest first; each carries its ``seq``."""
        return JournalReader(self.directory, before=self.epoch).advance()

    def append(self, record: Mapping[str, Any]) -> int:
        """Add a record to the buffer and return its number; ``commit`` makes it durable.

        Args:
            record: JSON-able values; ``type`` is required, ``seq`` and ``crc`` are added here.

        Raises:
            StorageError: An earlier commit failed, or the journal is closed.
            InternalError: It is not a record (then nothing was added).
        """
        if self._fault is not None:
            self._refuse()
        seq = self.seq + 1
        line, crc = encode_line(record, seq, self._crc)
        self.seq, self._crc = seq, crc
        self._buffer.append(line)
        return seq

    def commit(self) -> None:
        """Write what was appended, durably if so set: one write, one fsync. Returns only when that is done.

        Raises:
            StorageError: The storage refused. What was committed before is safe, this journal writes nothing more.
            LockedError: A newer driver took over.
        """
        if self._fault is not None:
            self._refuse()
        if not self._buffer:
            return
        # Set first, cleared last: whatever gets in between (an error, Ctrl-C) leaves a journal that refuses.
        self._fault = "an earlier commit was interrupted"
        if self._successor.exists():
            self._fault = f"a newer driver has taken epoch {self.epoch + 1}"
            message = f"{self._fault} of `{self.directory.parent}`; this one must not write any more"
            raise LockedError(message)
        try:
            _write(self._handle, b"".join(self._buffer))
            if self._sync:
                os.fsync(self._handle)
        except OSError as error:
            self._fault = f"an earlier commit failed ({error.strerror})"
            message = (
                f"the journal `{self.directory}` could not be written: {error.strerror}; what was committed before is "
                "safe; make the storage writable (space, quota, permissions) and resume"
            )
            raise StorageError(message) from error
        self._buffer.clear()
        self._fault = None

    def close(self) -> None:
        """Commit what is left, unless a commit failed before, and give the lock back; idempotent."""
        try:
            if self._fault is None:
                self.commit()
        finally:
            self._drop()
            self._fault = self._fault or "it is closed"

    def __enter__(self) -> Self:
        """Return the journal; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, also after an exception: a decision that was appended is a decision."""
        self.close()

    def _drop(self) -> None:
        """Close file and lock without writing."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)
        self._lock.release()

    def _refuse(self) -> None:
        message = f"the journal `{self.directory}` takes no more records: {self._fault}; resume the experiment"
        raise StorageError(message)


def _disown(journal: Journal | None) -> None:
    """In a forked child: forget the parent's journal without touching its file."""
    if journal is not None:
        journal._fault = "it belongs to the parent process"  # noqa: SLF001 - same module, runs in the child only
        journal._buffer.clear()  # noqa: SLF001
        journal._drop()  # noqa: SLF001


def _checked(directory: Path | str, durability: str) -> Path:
    if durability not in ("full", "none"):
        hint = suggest(str(durability), ("full", "none"))
        message = f'`durability` is {durability!r}, must be "full" or "none".{hint}'
        raise ConfigurationError(message)
    return Path(directory).absolute()


def _refuse_history(directory: Path) -> None:
    """Raise if any driver wrote more than the beginning of its epoch."""
    if any(record["type"] != "epoch" for record in JournalReader(directory).advance()):
        message = (
            f"the experiment `{directory.parent}` exists already and was left untouched; "
            "continue it with hb.resume(...), or choose another name"
        )
        raise ExperimentExistsError(message)


def _cut_torn_tail(directory: Path, epoch: int, offset: int) -> str | None:
    """Move the bytes after ``offset`` of the last file into a side file; return a line about it, or None."""
    path = directory / file_name(epoch)
    if epoch == 0 or path.stat().st_size == offset:
        return None
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        tail = b""
        while chunk := os.pread(handle, 1 << 20, offset + len(tail)):
            tail += chunk
        side = _side_file(path, tail)
        _sync_directory(directory)
        os.ftruncate(handle, offset)
        os.fsync(handle)
    finally:
        os.close(handle)
    return (
        f"the last write to the journal file `{path.name}` was cut off by a crash: {len(tail)} bytes after byte "
        f"{offset} were moved to `{side.name}`; no committed record is lost"
    )


def _side_file(path: Path, tail: bytes) -> Path:
    """Write ``tail`` durably into the first free ``<file>.torn-<n>``."""
    number = 1
    while True:
        side = path.with_name(f"{path.name}.torn-{number}")
        try:
            handle = os.open(side, _CREATE, 0o600)
        except FileExistsError:
            number += 1
            continue
        try:
            _write(handle, tail)
            os.fsync(handle)
        finally:
            os.close(handle)
        return side


def _write(handle: int, data: bytes) -> None:
    """Write all of ``data``; the system may take it in pieces."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _make_directory(path: Path) -> None:
    """Make ``path`` and its missing parents, private to the user, each one durably."""
    if not path.is_dir():
        _make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
