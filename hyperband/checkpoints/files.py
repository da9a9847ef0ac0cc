"""The few file operations of the store: relative to a directory handle, never through a link, errors by name."""

import errno
import os
from collections.abc import Sequence
from typing import Final, NoReturn

from hyperband.errors import CheckpointDamagedError, StorageError

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
#: Not blocking, because a pipe in place of a file must not hang us.
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
#: What the system takes in one call for sure: pieces, and bytes.
_PIECES: Final = 512
_BYTES: Final = 1 << 30


def damaged(file: str, reason: str, cause: Exception | None = None) -> NoReturn:
    """Raise the error of a file that is not the committed one."""
    message = f"the checkpoint file `{file}` is damaged: {reason}; it was not used"
    raise CheckpointDamagedError(message) from cause


def open_to_read(root: str, name: str) -> int:
    """Return a handle of a file in ``root``; one that is missing or a link counts as damaged."""
    try:
        directory = os.open(root, DIRECTORY)
        try:
            return os.open(name, READ, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as error:
        file = f"{root}/{name}"
        if error.errno in _NOT_THERE:
            damaged(file, "it is missing, or a link where a file or directory should be", error)
        message = f"the checkpoint file `{file}` cannot be read: {error.strerror}; check its permissions"
        raise StorageError(message) from error


def read_at(handle: int, offset: int, length: int, file: str) -> bytes:
    """Read exactly ``length`` bytes from ``offset`` on; a file that ends before is damaged."""
    pieces = []
    left = length
    try:
        while left > 0 and (piece := os.pread(handle, min(left, _BYTES), offset + length - left)):
            pieces.append(piece)
            left -= len(piece)
    except OSError as error:
        message = f"the checkpoint file `{file}` cannot be read: {error.strerror}; check the storage"
        raise StorageError(message) from error
    if left:
        damaged(file, "it ends too early")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def write_new(directory: int, name: str, pieces: Sequence[bytes], *, durable: bool) -> None:
    """Make a file of these pieces, which must not exist yet; ``durable``: they survive a power cut."""
    handle = os.open(name, CREATE, 0o600, dir_fd=directory)
    try:
        total = sum(map(len, pieces))
        done = os.writev(handle, pieces) if len(pieces) <= _PIECES and total <= _BYTES else 0
        if done != total:
            _write_rest(handle, pieces, done)
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def _write_rest(handle: int, pieces: Sequence[bytes], done: int) -> None:
    """Write what is left after the first ``done`` bytes; the system may take it in small portions."""
    for piece in pieces:
        view = memoryview(piece)[done:]
        done = max(0, done - len(piece))
        while view:
            view = view[os.write(handle, view[:_BYTES]) :]


def publish(directory: int, temporary: str, name: str) -> None:
    """Give a finished file its name, and take the temporary one away.

    A hard link appears at once and is refused if the name is taken, whereas a rename would replace what is there.
    Where the file system knows no hard links, the name is taken with an empty file first, and then our own empty file
    is what the rename replaces; a crash between the two leaves a file without a manifest, which nobody can load.

    Raises:
        FileExistsError: The name is taken; nothing was changed.
    """
    try:
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(name, CREATE, 0o600, dir_fd=directory))
        try:
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(name, dir_fd=directory)
            raise
    else:
        os.unlink(temporary, dir_fd=directory)


def sync(name: str, flags: int, directory: int | None = None) -> None:
    """Make a file, or the names in a directory, survive a power cut."""
    handle = os.open(name, flags, dir_fd=directory)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
