"""The few file operations of the store: relative to a directory handle, never through a link, errors by name."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from hyperband.errors import CheckpointDamagedError, StorageError

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  #: not blocking: a pipe in place of a file must not hang us
CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def directories(path: Path) -> list[str]:
    """Names of the real directories in ``path``; none if it is missing or a link."""
    try:
        handle = os.open(path, DIRECTORY)
        try:
            with os.scandir(handle) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        finally:
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        message = f"the checkpoints in `{path}` cannot be listed: {error.strerror}; check the permissions"
        raise StorageError(message) from error


@contextlib.contextmanager
def opened(name: str, flags: int, directory: int | None, shown: Path) -> Iterator[int]:
    """Open for reading; something missing or replaced by a link counts as damage of ``shown``."""
    try:
        handle = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            damaged(shown, "it is missing, or a link where a file or directory should be", error)
        message = f"the checkpoint file `{shown}` cannot be read: {error.strerror}; check its permissions"
        raise StorageError(message) from error
    try:
        yield handle
    finally:
        os.close(handle)


def damaged(file: Path, reason: str, cause: Exception | None = None) -> NoReturn:
    """Raise the error of a file that is not the committed one."""
    message = f"the checkpoint file `{file}` is damaged: {reason}; it was not used"
    raise CheckpointDamagedError(message) from cause


def read(handle: int, file: Path, limit: int) -> bytes:
    """Read up to ``limit`` bytes, or to the end."""
    parts = []
    try:
        while limit > 0 and (part := os.read(handle, min(limit, 1 << 30))):
            parts.append(part)
            limit -= len(part)
    except OSError as error:
        message = f"the checkpoint file `{file}` cannot be read: {error.strerror}; check the storage"
        raise StorageError(message) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write(handle: int, data: bytes) -> None:
    """Write all of ``data``; the system may take it in pieces."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def remove(parent: int, name: str) -> None:
    """Remove a flat directory without following links; the manifest goes first, so a half-removed one is void."""
    try:
        handle = os.open(name, DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        os.unlink(name, dir_fd=parent)  # a link put in its place: only the link goes
        return
    try:
        for child in sorted(os.listdir(handle)):  # noqa: PTH208 - a handle is no path
            with contextlib.suppress(FileNotFoundError):
                os.unlink(child, dir_fd=handle)
    finally:
        os.close(handle)
    os.rmdir(name, dir_fd=parent)


def sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
