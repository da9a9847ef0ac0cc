"""Laws of the line codec."""

import json
import math
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.errors import ConfigurationError, InternalError
from hyperband.journal import record as codec
from hyperband.journal.record import BadLineError, decode_line, encode_line

TEXT = st.text(st.characters(codec=None), max_size=12)  # lone surrogates included
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
RECORD = st.dictionaries(TEXT.filter(lambda key: key not in ("seq", "crc", "type")), JSON, max_size=5).map(
    lambda body: {"type": "any", **body}
)


@settings(derandomize=True, max_examples=300)
@given(RECORD, st.integers(1, 2**40), st.integers(0, 2**32 - 1))
def test_every_record_comes_back_as_it_was(record: dict[str, Any], seq: int, crc: int) -> None:
    """Decoding is the inverse of encoding, for any JSON value and any text."""
    line, after = encode_line(record, seq, crc)
    assert decode_line(line[:-1], seq, crc) == ({"seq": seq, **record}, after)


@settings(derandomize=True, max_examples=100)
@given(RECORD, st.integers(0, 2**32 - 1))
def test_a_line_is_one_line_of_strict_json(record: dict[str, Any], crc: int) -> None:
    """Any JSON reader can read a line, and its check value is the documented one."""
    line, after = encode_line(record, 3, crc)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    parsed = json.loads(line)
    assert next(iter(parsed)) == "seq"
    assert list(parsed)[-1] == "crc"
    assert parsed["crc"] == f"{after:08x}"
    assert after == zlib.crc32(line[: line.rindex(b',"crc"')], crc)


@settings(derandomize=True, max_examples=300)
@given(RECORD, st.data())
def test_any_edited_byte_is_noticed(record: dict[str, Any], data: st.DataObject) -> None:
    """No byte of a line may differ from what was written."""
    line = encode_line(record, 5, 99)[0][:-1]
    position = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != line[position]))
    edited = line[:position] + bytes([byte]) + line[position + 1 :]
    with pytest.raises(BadLineError):
        decode_line(edited, 5, 99)


@pytest.mark.parametrize(("seq", "crc"), [(4, 99), (6, 99), (5, 98)])
def test_a_line_fits_one_place_only(seq: int, crc: int) -> None:
    """Its number and the line before it are part of what is checked."""
    line, _ = encode_line({"type": "any"}, 5, 99)
    with pytest.raises(BadLineError):
        decode_line(line[:-1], seq, crc)


@pytest.mark.parametrize("body", [b"[1", b'{"seq":1', b'{"seq":1,"type":NaN', b"\xff\xfe", b"{" * 100_000])
def test_a_right_check_value_does_not_excuse_a_wrong_line(body: bytes) -> None:
    """Bytes that are no record are refused even if somebody computed their check value."""
    with pytest.raises(BadLineError):
        decode_line(b'%b,"crc":"%08x"}' % (body, zlib.crc32(body)), 1, 0)


@pytest.mark.parametrize(
    "record",
    [
        {"trial": 1},
        {"type": "any", "seq": 1},
        {"type": "any", "crc": ""},
        {"type": "any", "value": math.nan},
        {"type": "any", "value": -math.inf},
        {"type": "any", "value": object()},
    ],
)
def test_what_is_no_record_is_refused(record: dict[str, Any]) -> None:
    """A missing type, a reserved key and a value that strict JSON cannot hold are mistakes of the caller."""
    with pytest.raises(InternalError):
        encode_line(record, 1, 0)


def test_a_line_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless record is refused with the way that works."""
    monkeypatch.setattr(codec, "MAX_LINE", 100)
    with pytest.raises(ConfigurationError, match="must have at most 100"):
        encode_line({"type": "any", "text": "x" * 100}, 1, 0)
