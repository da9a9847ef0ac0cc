"""How values are shown to people: short, and harmless in a terminal.

Whatever comes out of a journal was written by somebody's training code. Shown in a terminal, an escape sequence in an
exception's message could clear the screen, rename the window or paint a false result; so text is stripped of all
control characters before it is shown, and cut to a length.
"""

import math
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

#: C0 and C1 controls except newline and tab, and the marks that turn the direction of writing around.
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: Whole escape sequences, so that their letters do not stay behind as litter.
_ESCAPE: Final = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, clearing
    "|\x1b[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?"  # OSC and other strings: titles, links
    "|\x1b[ -/]*[0-~]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def clean(text: object) -> str:
    """Return ``text`` without escape sequences and control characters; newlines stay, tabs become spaces."""
    bare = _CONTROL.sub("", _ESCAPE.sub("", str(text)))
    return _SURROGATE.sub("\ufffd", bare).replace("\t", "    ")


def one_line(text: object, limit: int = 160) -> str:
    """Return the first line that is not empty, clean and at most ``limit`` characters long."""
    lines = (line.strip() for line in clean(text).splitlines())
    first = next((line for line in lines if line), "")
    return first if len(first) <= limit else first[: limit - 1] + "\u2026"


def number(value: float | None) -> str:
    """Return a value in four to five significant digits: 0.9825, 12.4, 3.1e-05; a dash for None."""
    if value is None:
        return "\u2013"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == int(value) and abs(value) < 1e7:
        return str(int(value))
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.5g}"


def duration(seconds: float) -> str:
    """Return a length of time: 0.4 s, 12 s, 3:05 min, 2:05:00 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def program() -> str:
    """Return how this package's command is called here: its path if the shell would not find it by name."""
    if shutil.which("hyperband"):
        return "hyperband"
    script = Path(sys.prefix, "bin", "hyperband")
    if not script.exists():
        return "python -m hyperband"
    near = script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script
    return shlex.quote(str(near))


def plural(count: int, noun: str) -> str:
    """Return ``1 trial`` or ``2 trials``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one, the names joined by dots; lists stay as they are."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def settings(config: Mapping[str, Any] | None) -> str:
    """Return a config on one line: ``lr 0.0312, batch_size 32``."""
    return ", ".join(f"{clean(name)} {setting(value)}" for name, value in flat(config or {}).items()) or "nothing"


def setting(value: object) -> str:
    """Return one value of a config."""
    if isinstance(value, float):
        return number(value)
    return one_line(value, 60)


def aligned(rows: Iterable[tuple[str, str]], indent: str = "  ") -> list[str]:
    """Return lines ``name  value`` with the values below each other."""
    pairs = list(rows)
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"{indent}{name.ljust(width)}  {value}" for name, value in pairs]
