"""A fault in a Dockerfile, shown with its place. No IO."""

from __future__ import annotations

from collections.abc import Iterable

from pierhead.build.dockerfile.model import Range, SourceText
from pierhead.errors import InvalidParameter

CONTEXT_LINES = 3


class BuildError(InvalidParameter):
    """``message`` is BuildKit's text (``dockerfile parse error on line 3: ...``).

    ``location`` and ``source`` say where, if that is known; others than the parser may raise
    it as well, for what an instruction asked and could not get.
    """

    def __init__(
        self, message: str, location: Range | None = None, source: SourceText | None = None
    ) -> None:
        super().__init__(message)
        self.location = location
        self.source = source

    def render(self) -> str:
        """The message below the lines it is about, marked, as buildx prints them."""
        excerpt = self.excerpt()
        return f"{excerpt}ERROR: {self.message}" if excerpt else f"ERROR: {self.message}"

    def excerpt(self) -> str:
        """The lines around, with ``>>>`` at those that are meant; "" if the place is unknown."""
        if self.location is None or self.source is None:
            return ""
        return excerpt(self.source, self.location)


def excerpt(source: SourceText, location: Range) -> str:
    """Lines of ``location`` and some around, numbered, between two rules; ends in a newline."""
    lines = source.lines(location.file)
    if lines and not lines[-1]:
        lines.pop()
    if not 1 <= location.first <= len(lines):
        return ""
    last = min(location.last, len(lines))
    # As BuildKit: some lines above and below, as many on each side as there is room for.
    padding = 2 if last == location.first else 1
    start = max(1, location.first - padding)
    end = min(len(lines), last + padding)
    drawn = [
        f"{number:4} | {'>>>' if location.first <= number <= last else '   '} {lines[number - 1]}"
        for number in range(start, end + 1)
    ]
    rule = "-" * 20
    return "\n".join([source.label(location), rule, *drawn, rule, ""])


def suggest(value: str, options: Iterable[str], *, case_sensitive: bool = True) -> str:
    """The option nearest to ``value``, less than 3 edits away; "" if none is, or one is equal."""
    raise NotImplementedError


def with_suggestion(
    message: str, value: str, options: Iterable[str], *, case_sensitive: bool = True
) -> str:
    """``message (did you mean X?)``, if there is an X."""
    match = suggest(value, options, case_sensitive=case_sensitive)
    return f"{message} (did you mean {match}?)" if match else message
