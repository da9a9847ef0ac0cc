"""How values are shown."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.results import text


@settings(derandomize=True)
@given(st.text(st.characters(codec=None, categories=None)))
def test_clean_text_has_no_control_characters(raw: str) -> None:
    """Nothing but newlines of the control characters is left, and it can be encoded."""
    cleaned = text.clean(raw)
    cleaned.encode()
    assert not [c for c in cleaned if unicodedata.category(c) == "Cc" and c != "\n"]
    assert text.clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jcleared", "cleared"),
        ("a\rb", "ab"),
        ("right\u202eleft", "rightleft"),
    ],
)
def test_escape_sequences_leave_no_litter(raw: str, shown: str) -> None:
    """The whole sequence goes, not only its first byte."""
    assert text.clean(raw) == shown


@settings(derandomize=True)
@given(st.text(), st.integers(2, 50))
def test_one_line_is_one_line(raw: str, limit: int) -> None:
    """Never longer than told, never more than a line."""
    line = text.one_line(raw, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.98251, "0.9825"),
        (12.3456, "12.346"),
        (3.0, "3"),
        (1e-7, "1e-07"),
        (float("nan"), "NaN"),
        (float("-inf"), "-inf"),
        (None, "\u2013"),
    ],
)
def test_numbers_are_short(value: float | None, shown: str) -> None:
    """Four to five digits, and words for what is not a number."""
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.44, "0.4 s"), (12.4, "12 s"), (185, "3:05 min"), (7500, "2:05:00 h"), (59.7, "1:00 min")]
)
def test_durations_are_readable(seconds: float, shown: str) -> None:
    """Seconds, then minutes, then hours."""
    assert text.duration(seconds) == shown


def test_nested_configs_become_flat() -> None:
    """Names are joined by dots; an empty branch keeps its place."""
    assert text.flat({"a": 1, "b": {"c": {"d": 2}}, "e": {}}) == {"a": 1, "b.c.d": 2, "e": {}}
