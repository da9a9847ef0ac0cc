"""The documentation is run: its code works, prints what it says it prints, and names nothing that does not exist.

A page becomes one script: every line of its ```python blocks stands on the line it has in the page (so a traceback
points into the page), all others are empty, and a mark is printed after each block. A ```text block that follows a
python block is what that block printed; numbers, digests and the width of columns are not compared, unless it is
marked ```text exact. A block that begins with ```python no-run is left out; a comment ``<!-- no-run: reason -->`` on
the line before says why.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer.main

import hyperband as hb
from hyperband.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
#: Every page that is ours; tools and test runs leave others in folders that begin with a dot.
PAGES = sorted([*ROOT.glob("*.md"), *DOCS, *(ROOT / "benchmarks").rglob("*.md")])

#: Printed after each block.
MARK = "\x1e"
NO_RUN = re.compile(r"<!-- no-run: \S.* -->")

_FENCE = re.compile(r"^(`{3,})(.*)$")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#* *$")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d+(?:[.,:]\d+)*(?:e[+-]?\d+)?(?![0-9A-Za-z])")
_DIGEST = re.compile(r"\b[0-9a-f]{8,}\b|\d+")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    info: str  #: what stands after the opening fence
    line: int  #: of the opening fence, from 1
    lines: tuple[str, ...]
    before: str  #: the last line above it that is not empty
    adjacent: bool  #: nothing but empty lines between it and the block before

    @property
    def runs(self) -> bool:
        """Whether it is Python that is executed."""
        return self.info == "python"

    @property
    def text(self) -> str:
        """Its content."""
        return "\n".join(self.lines)


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    found: list[Block] = []
    before, fence, info, start, content, adjacent = "", "", "", 0, [], False
    for number, line in enumerate(text.splitlines(), start=1):
        match = _FENCE.match(line)
        if fence and match and match[1] == fence and not match[2].strip():
            found.append(Block(info, start, tuple(content), before, adjacent))
            fence, before, adjacent = "", "", True
        elif fence:
            content.append(line)
        elif match:
            fence, info, start, content = match[1], match[2].strip(), number, []
        elif line.strip():
            before, adjacent = line.strip(), False
    assert not fence, f"the block that begins on line {start} has no end"
    return found


def script(text: str) -> str:
    """Return the Python of a page, each line where it is in the page, a mark printed at the end of each block."""
    lines = [""] * len(text.splitlines())
    for block in blocks(text):
        if block.runs:
            lines[block.line : block.line + len(block.lines)] = block.lines
            lines[block.line + len(block.lines)] = f"print({MARK!r}, flush=True)"
    return "\n".join(lines) + "\n"


def masked(text: str) -> str:
    """Return what has to be equal: without the values of numbers, digests and widths."""
    text = _DIGEST.sub("#", _NUMBER.sub("#", text))
    lines = (re.sub(r"[ ─━╸╺]+", " ", line).strip() for line in text.strip().splitlines())
    return "\n".join(lines)


def trimmed(text: str) -> str:
    """Return a text without white space at the end of lines, and without empty lines around it."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def run(text: str, folder: Path, *, name: str, timeout: float) -> list[tuple[Block, str]]:
    """Run a page in an empty folder and return its Python blocks with what each one printed."""
    file = folder / name
    file.write_text(script(text))
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", str(file)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    parts = done.stdout.split(MARK + "\n")
    python = [block for block in blocks(text) if block.runs]
    assert len(parts) == len(python) + 1
    return list(zip(python, parts, strict=False))


def check_page(text: str, folder: Path, *, name: str, timeout: float) -> None:
    """Run a page and compare what it prints with what it shows."""
    printed = {block.line: output for block, output in run(text, folder, name=name, timeout=timeout)}
    for block, following in pairwise(blocks(text)):
        if block.runs and following.adjacent and following.info in ("text", "text exact"):
            compared = masked if following.info == "text" else trimmed
            output = printed[block.line]
            assert compared(following.text) == compared(output), f"{name}:{block.line} printed\n{output}"


def has_python(path: Path) -> bool:
    """Tell whether anything on a page is run."""
    return any(block.runs for block in blocks(path.read_text()))


def label(path: Path) -> str:
    """Name a page as a test's id."""
    return str(path.relative_to(ROOT))


# --- the pages are true ----------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in DOCS if has_python(page)], ids=label)
def test_a_page_prints_what_it_shows(page: Path, tmp_path: Path) -> None:
    """Every Python block runs, one after another, and output blocks are what they printed."""
    check_page(page.read_text(), tmp_path, name=f"{page.stem}.py", timeout=60)


@pytest.mark.ray
@pytest.mark.timeout(200)
def test_the_readme_prints_what_it_shows(tmp_path: Path) -> None:
    """The first thing that anybody copies works, on Ray; and there is something to copy."""
    assert has_python(README)
    check_page(README.read_text(), tmp_path, name="readme.py", timeout=180)


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    """``python no-run`` needs a reason; any other word after ``python`` is a mistake."""
    for block in blocks(page.read_text()):
        if block.info.startswith("python") and not block.runs:
            assert block.info == "python no-run", f"{label(page)}:{block.line}: {block.info!r}"
            assert NO_RUN.fullmatch(block.before), f"{label(page)}:{block.line}: no reason before the block"


# --- nothing points into the void ------------------------------------------------------------


def without_code(text: str) -> str:
    """Return a page without its fenced blocks and without inline code."""
    kept = text.splitlines()
    for block in blocks(text):
        kept[block.line - 1 : block.line + len(block.lines) + 1] = [""] * (len(block.lines) + 2)
    return _CODE.sub("", "\n".join(kept))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    inside = {n for b in blocks(text) for n in range(b.line, b.line + len(b.lines) + 2)}
    found: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        match = _HEADING.match(line)
        if match and number not in inside:
            slug = re.sub(r"[^\w\- ]", "", match[1].lower()).replace(" ", "-")
            repeats = sum(
                anchor == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", anchor) is not None for anchor in found
            )
            found.add(f"{slug}-{repeats}" if repeats else slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_a_relative_link_leads_somewhere(page: Path) -> None:
    """Files and anchors exist."""
    for target in _LINK.findall(without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{label(page)}: {target}"
        assert file.is_relative_to(ROOT), f"{label(page)}: {target} leaves the repository"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{label(page)}: {target}"


def code_of(text: str) -> list[str]:
    """Return everything on a page that is code: inline, and line by line in fenced blocks that are no output."""
    shown = [line for block in blocks(text) if not block.info.startswith("text") for line in block.lines]
    kept = text.splitlines()
    for block in blocks(text):
        kept[block.line - 1 : block.line + len(block.lines) + 1] = [""] * (len(block.lines) + 2)
    return [*shown, *(match[2] for match in _CODE.finditer("\n".join(kept)))]


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_a_page_names_no_api_that_does_not_exist(page: Path) -> None:
    """Whatever is written as ``hb.something`` can be written."""
    names = {name for code in code_of(page.read_text()) for name in re.findall(r"\bhb\.([A-Za-z_]\w*)", code)}
    assert names - set(hb.__all__) == set()


def commands() -> dict[str, set[str]]:
    """Return the commands of the command line, each with its options."""
    group: Any = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
        for name, command in group.commands.items()
    }


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_a_page_names_no_command_that_does_not_exist(page: Path) -> None:
    """``hyperband word --option`` names a command and an option of it."""
    known = commands()
    for code in code_of(page.read_text()):
        match = re.match(r"(?:\$ +|\.venv/bin/)?hyperband +([A-Za-z-]+)(.*)", code.strip())
        if match is None or match[1].startswith("-") or match[1].isupper():
            continue
        name, rest = match[1], match[2].partition("#")[0]
        assert name in known, f"{label(page)}: {code}"
        unknown = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)) - known[name]
        assert not unknown, f"{label(page)}: {code}: {unknown}"


# --- the checker can fail --------------------------------------------------------------------


def test_a_wrong_output_is_found(tmp_path: Path) -> None:
    """Other words are found; other numbers and other widths are no difference, unless it says exact."""
    page = "```python\nprint('best   12.5')\n```\n\n```text{}\n{}\n```\n"
    check_page(page.format("", "best 3"), tmp_path, name="page.py", timeout=30)
    for exactness, shown in (("", "worst 12.5"), (" exact", "best   3")):
        with pytest.raises(AssertionError, match="printed"):
            check_page(page.format(exactness, shown), tmp_path, name="page.py", timeout=30)


def test_a_failing_block_is_found_on_its_line(tmp_path: Path) -> None:
    """The traceback has the line of the page."""
    with pytest.raises(AssertionError, match="line 4"):
        check_page("# Title\n\n```python\n1 / 0\n```\n", tmp_path, name="page.py", timeout=30)


def test_the_blocks_of_a_page_share_their_names(tmp_path: Path) -> None:
    """And a block that is not to be run is not."""
    page = "```python\nx = 1\n```\n```python no-run\n1 / 0\n```\n```python\nprint(x + 1)\n```\n"
    assert [output.strip() for _, output in run(page, tmp_path, name="page.py", timeout=30)] == ["", "2"]


def test_headings_become_the_anchors_that_github_makes() -> None:
    """Code, punctuation and repetitions included; a comment in a block is no heading."""
    page = "# `hb.run`, in short\n## Limits\n## Limits\n```python\n# no heading\n```\n"
    assert anchors(page) == {"hbrun-in-short", "limits", "limits-1"}
