"""A place in an HCL text: what may be skipped, what is next, what is wrong there. No IO."""

from __future__ import annotations

from pierhead.cli.bake.hcl import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Cursor:
    """Reads one text from left to right."""

    def __init__(self, source: nodes.Source, at: int = 0) -> None:
        self.source = source
        self.text = source.text
        self.at = at
        self.depth = 0
        #: Within brackets newlines mean nothing.
        self.flat = 0

    def fail(self, summary: str, detail: str, start: int | None = None) -> NoReturn:
        """Raise at the cursor, or from ``start`` to it."""
        begin = self.at if start is None else start
        raise nodes.HclError(self.source, begin, max(self.at, begin + 1), summary, detail)

    def space(self, *, lines: bool | None = None) -> None:
        """Skip blanks and comments; line ends too where they mean nothing (or ``lines``)."""
        flat = self.flat > 0 if lines is None else lines
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if char in " \t\r" or (char == "\n" and flat):
                self.at += 1
            elif char == "#" or text.startswith("//", self.at):
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif text.startswith("/*", self.at):
                end = text.find("*/", self.at + 2)
                if end < 0:
                    self.fail("Unterminated comment", "A comment has no end.")
                self.at = end + 2
            else:
                return

    def peek(self, mark: str) -> bool:
        """Whether ``mark`` is next."""
        return self.text.startswith(mark, self.at)

    def take(self, mark: str) -> bool:
        """Skip ``mark`` if it is next."""
        if self.peek(mark):
            self.at += len(mark)
            return True
        return False

    def expect(self, mark: str, detail: str) -> None:
        """Skip ``mark``, or raise."""
        if not self.take(mark):
            self.fail("Invalid expression", detail)

    def identifier(self) -> str:
        """The name at the cursor, "" if there is none."""
        text, start = self.text, self.at
        end = start
        while end < len(text) and (
            text[end].isalnum() or text[end] == "_" or (text[end] == "-" and end > start)
        ):
            end += 1
        if end == start or text[start].isdigit():
            return ""
        self.at = end
        return text[start:end]
