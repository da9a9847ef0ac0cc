"""Reading a journal: verified line by line, at any time, also while somebody writes it.

Bytes after the last newline of the *last* file are a torn tail (or a line that is just being written): a reader
passes over them in silence. Everything else that does not verify is damage and raises. A reader never writes and
never locks. The order "list the directory, then read" makes this sound: a writer cuts the tail of the old file
before it creates the next one, so a file that is not the last of a listing is complete.
"""

import itertools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from hyperband.errors import ExperimentNotFoundError, FormatVersionError, JournalDamagedError, StorageError
from hyperband.journal.record import FORMAT, MAX_LINE, BadLineError, decode_line

_NAME: Final = re.compile(r"([0-9]{6,})\.jsonl")
_CHUNK: Final = 1 << 20


def file_name(epoch: int) -> str:
    """Name of the file of an epoch, from 1."""
    return f"{epoch:06d}.jsonl"


def epochs(directory: Path) -> int:
    """Return how many epochs the journal has: files 1 to that number, without a gap.

    Raises:
        ExperimentNotFoundError: ``directory`` does not exist.
        JournalDamagedError: A file is missing.
    """
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths; this is polled
    except (FileNotFoundError, NotADirectoryError) as error:
        message = (
            f"there is no experiment at `{directory.parent}` (it has no directory `{directory.name}`); "
            "check the path, or start one with hb.run(..., storage=..., name=...)"
        )
        raise ExperimentNotFoundError(message) from error
    except OSError as error:
        message = f"the journal `{directory}` cannot be read: {error.strerror}; check its permissions"
        raise StorageError(message) from error
    found = {int(match[1]) for name in names if (match := _NAME.fullmatch(name)) and file_name(int(match[1])) == name}
    if len(found) != max(found, default=0):
        missing = next(number for number in itertools.count(1) if number not in found)
        message = (
            f"the journal `{directory}` is damaged: its file `{file_name(missing)}` (line 1, byte 0) is missing while "
            "later ones are there. Nothing was changed; restore the file from a copy"
        )
        raise JournalDamagedError(message)
    return len(found)


class JournalReader:
    """Follows a journal; every ``poll`` returns what was added since the last one.

    Args:
        directory: The journal directory, ``<experiment>/journal``.
        before: Read only epochs below this number.

    Raises:
        ExperimentNotFoundError: The directory does not exist.
    """

    __slots__ = ("_before", "_crc", "_directory", "_epoch", "_line", "_offset", "_seq")

    def __init__(self, directory: Path | str, *, before: int | None = None) -> None:
        self._directory = Path(directory)
        self._before = before
        self._epoch = 0
        self._line = 0
        self._offset = 0
        self._seq = 0
        self._crc = 0
        epochs(self._directory)

    @property
    def position(self) -> tuple[int, int]:
        """Epoch of the file read last (0 for none) and the offset in bytes where its complete lines end."""
        return self._epoch, self._offset

    @property
    def chain(self) -> tuple[int, int]:
        """Number and CRC of the last record read; (0, 0) before the first."""
        return self._seq, self._crc

    def poll(self) -> list[dict[str, Any]]:
        """Return the records that became complete since the last call, oldest first; each carries its ``seq``.

        Raises:
            JournalDamagedError: A line is not the one that was written. Asking again raises again.
            FormatVersionError: The journal was written by a newer version.
        """
        return list(self.advance())

    def advance(self) -> Iterator[dict[str, Any]]:
        """As ``poll``, but lazily, so that a long journal is never in memory as a whole."""
        last = epochs(self._directory)
        stop = last if self._before is None else min(last, self._before - 1)
        if self._epoch:
            yield from self._read_file(final=self._epoch < last)
        while self._epoch < stop:
            self._epoch, self._line, self._offset = self._epoch + 1, 0, 0
            yield from self._read_file(final=self._epoch < last)

    def _read_file(self, *, final: bool) -> Iterator[dict[str, Any]]:
        """Yield the new complete lines of the current file; a ``final`` file must end with a newline."""
        path = self._directory / file_name(self._epoch)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe of that name must not block
            with os.fdopen(handle, "rb", buffering=0) as file:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    self._damaged("it is not a regular file")
                if status.st_size < self._offset:
                    self._damaged("the file became shorter than what was already read from it")
                file.seek(self._offset)
                rest = b""
                while chunk := file.read(_CHUNK):
                    lines = (rest + chunk).split(b"\n")
                    rest = lines.pop()
                    for line in lines:
                        yield self._take(line)
                    if len(rest) > MAX_LINE:
                        self._damaged(f"a line of more than {MAX_LINE} bytes")
        except OSError as error:
            message = f"the journal file `{path}` cannot be read: {error.strerror}; check its permissions"
            raise StorageError(message) from error
        if rest and final:
            self._damaged("its newline is missing although a later file follows")

    def _take(self, line: bytes) -> dict[str, Any]:
        """Verify one line and move past it."""
        try:
            record, crc = decode_line(line, self._seq + 1, self._crc)
        except BadLineError as error:
            self._damaged(str(error), error)
        if self._line == 0:
            self._check_first(record)
        self._seq, self._crc = self._seq + 1, crc
        self._line, self._offset = self._line + 1, self._offset + len(line) + 1
        return record

    def _check_first(self, record: dict[str, Any]) -> None:
        """The first record of a file says which epoch and format it is."""
        if record["type"] != "epoch" or record.get("epoch") != self._epoch:
            self._damaged(f"the first record of this file is not the beginning of epoch {self._epoch}")
        version = record.get("format")
        if version != FORMAT:
            message = (
                f"the journal `{self._directory}` has format {version}, this version reads {FORMAT}; nothing was "
                "changed; read it with the version of hyperband that wrote it, or a later one"
            )
            raise FormatVersionError(message)

    def _damaged(self, reason: str, cause: Exception | None = None) -> NoReturn:
        message = (
            f"the journal file `{self._directory / file_name(self._epoch)}` is damaged at line {self._line + 1} "
            f"(byte {self._offset}): {reason}. Nothing was changed; restore the file from a copy"
        )
        raise JournalDamagedError(message) from cause


def read_records(directory: Path | str) -> Iterator[dict[str, Any]]:
    """Yield the verified records of a journal, oldest first; each carries its ``seq``.

    Safe at any time: what it yields is a prefix of what the writer will have written. A torn tail is passed over.

    Args:
        directory: The journal directory, ``<experiment>/journal``.

    Raises:
        ExperimentNotFoundError: The directory does not exist (raised by the call, not by the iteration).
        JournalDamagedError: A line is not the one that was written.
        FormatVersionError: The journal was written by a newer version.
    """
    return JournalReader(directory).advance()
