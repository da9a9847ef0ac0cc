"""The line codec: one record to one line and back, chained to its predecessor.

A line is ``{"seq":17,"type":"...",...,"crc":"1a2b3c4d"}`` and a newline. The CRC-32 covers every byte before
``,"crc"`` and starts from the CRC of the line before (0 for the first), so an edited, lost, doubled, swapped or
foreign line breaks the chain at the latest on the line that follows it. The suffix after the body has one legal
spelling only, which leaves no byte of a line unchecked.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final, Never

from hyperband.errors import ConfigurationError, InternalError

#: Version of the line format; stands in the first record of every file.
FORMAT: Final = 1
#: Bytes that one line may have. A reader must not be made to hold an endless line in memory.
MAX_LINE: Final = 64 * 1024 * 1024

_SUFFIX: Final = len(b',"crc":"00000000"}')


def _refuse_constant(name: str) -> Never:
    message = f"{name} is not strict JSON"
    raise ValueError(message)


# ASCII escapes, not raw UTF-8: a text with a lone surrogate (a file name in a traceback) must not stop the driver.
_encode: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=True, separators=(",", ":")).encode
_decode: Final = json.JSONDecoder(parse_constant=_refuse_constant).decode


class BadLineError(ValueError):
    """A line is not the one that was written; the reader adds file, line and offset."""


def encode_line(record: Mapping[str, Any], seq: int, crc: int) -> tuple[bytes, int]:
    """Return the line of ``record`` with its newline, and its CRC.

    Args:
        record: JSON-able values; ``type`` is required, ``seq`` and ``crc`` belong to the line.
        seq: Number of the line, from 1.
        crc: CRC of the line before, 0 if there is none.

    Raises:
        InternalError: The record is not one (no type, a reserved key, a value strict JSON cannot hold).
        ConfigurationError: The line would be longer than ``MAX_LINE``.
    """
    if "type" not in record or "seq" in record or "crc" in record:
        message = f"a journal record needs `type` and must not have `seq` or `crc`; it has the keys {sorted(record)}"
        raise InternalError(message)
    try:
        body = _encode({"seq": seq, **record})[:-1].encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        message = f"a journal record of type `{record['type']}` holds a value that strict JSON cannot: {error}"
        raise InternalError(message) from error
    if len(body) + _SUFFIX > MAX_LINE:
        message = (
            f"a journal record of type `{record['type']}` has {len(body)} bytes, must have at most {MAX_LINE}; "
            "keep large values out of configs, metrics and messages, and put them into the state"
        )
        raise ConfigurationError(message)
    crc = zlib.crc32(body, crc)
    return b'%b,"crc":"%08x"}\n' % (body, crc), crc


def decode_line(line: bytes, seq: int, crc: int) -> tuple[dict[str, Any], int]:
    """Return the record of ``line`` (``seq`` included, ``crc`` not) and its CRC.

    Args:
        line: Its bytes without the newline.
        seq: The number it must have.
        crc: CRC of the line before.

    Raises:
        BadLineError: It is not the line that was written here.
    """
    body = line[:-_SUFFIX]
    crc = zlib.crc32(body, crc)
    if line[-_SUFFIX:] != b',"crc":"%08x"}' % crc:
        message = f"its check value is not {crc:08x}: it was edited, or a line before it was lost, added or moved"
        raise BadLineError(message)
    try:
        record = _decode(body.decode("utf-8") + "}")
    except (ValueError, RecursionError) as error:
        message = f"it is not strict JSON: {error}"
        raise BadLineError(message) from error
    if not isinstance(record, dict) or record.get("seq") != seq or "type" not in record:
        message = f"it is not a record with the number {seq}"
        raise BadLineError(message)
    return record, crc
