"""Where a command's answer goes: people get text, programs one JSON document on standard output and nothing else."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from hyperband.results.text import clean


@dataclass(frozen=True, slots=True)
class Output:
    """The way a command answers.

    Attributes:
        as_json: Whether a program is listening.
    """

    as_json: bool

    def show(self, page: RenderableType) -> None:
        """Show something to people; programs do not see it."""
        if not self.as_json:
            console = Console(highlight=False)
            if not console.is_terminal and "COLUMNS" not in os.environ:  # a pipe has no edge to break lines at
                console.width = max(console.width, 200)
            console.print(page)

    def note(self, text: str, style: str = "") -> None:
        """Say something beside the answer, on standard error."""
        if not self.as_json:
            Console(stderr=True, highlight=False, soft_wrap=True).print(Text(clean(text), style=style))

    def answer(self, document: Any, page: RenderableType | None = None) -> None:
        """Give the answer: the document to programs, the page to people."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, allow_nan=False, indent=2, default=str) + "\n")
        elif page is not None:
            self.show(page)

    def error(self, error: BaseException, message: str | None = None, **more: Any) -> None:
        """Report an error: as the document to programs, as text on standard error to people."""
        text = clean(str(error) if message is None else message)
        if self.as_json:
            self.answer({"error": text, "type": type(error).__name__, **more})
        else:
            self.note(f"hyperband: {text}", style="red")

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Send to standard error what user code prints, also from C, so that the document stays alone.

        Without ``--json`` nothing is changed.
        """
        if not self.as_json:
            yield
            return
        sys.stdout.flush()
        saved = os.dup(1)
        try:
            os.dup2(2, 1)
            with contextlib.redirect_stdout(sys.stderr):
                yield
        finally:
            os.dup2(saved, 1)
            os.close(saved)
