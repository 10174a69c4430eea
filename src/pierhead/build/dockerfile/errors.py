"""A fault in a Dockerfile, shown with its place. No IO."""

from __future__ import annotations

from collections.abc import Iterable

from pierhead.build.dockerfile.model import Range, SourceText
from pierhead.errors import InvalidParameter

MAX_SUGGEST_CHARS = 200


class BuildError(InvalidParameter):
    """``message`` is BuildKit's text (``dockerfile parse error on line 3: ...``).

    ``location`` and ``source`` say where, if that is known; others than the parser may raise
    it as well, for what an instruction asked and could not get.
    """

    def __init__(
        self,
        message: str,
        location: Range | None = None,
        source: SourceText | None = None,
        *,
        lexical: bool = False,
    ) -> None:
        super().__init__(message)
        self.location = location
        self.source = source
        self.lexical = lexical
        """A line that can't be taken apart: the classic builder puts ``failed to parse
        Dockerfile: `` before such messages."""

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
    if not 1 <= location.first <= len(lines):
        return ""
    start, end = location.first, min(max(location.first, location.last), len(lines))
    last = end
    wanted, padding = (4 if end == start else 2), 0
    while padding < wanted:  # one line above and one below count two; a third for the round
        if start > 1:
            start -= 1
            padding += 1
        if end != len(lines):
            end += 1
            padding += 1
        padding += 1
    drawn = [
        f" {number:3} | {'>>>' if location.first <= number <= last else '   '} {lines[number - 1]}"
        for number in range(start, end + 1)
    ]
    rule = "-" * 20
    return "\n".join([source.label(location), rule, *drawn, rule, ""])


def suggest(value: str, options: Iterable[str], *, case_sensitive: bool = True) -> str:
    """The option nearest to ``value``, less than 3 edits away; "" if none is, or one is equal."""
    wanted = value if case_sensitive else value.lower()
    if len(wanted) > MAX_SUGGEST_CHARS:
        return ""
    best, nearest = "", 3
    for option in sorted(options):
        candidate = option if case_sensitive else option.lower()
        if candidate == wanted:
            return ""
        if abs(len(candidate) - len(wanted)) >= nearest:
            continue
        distance = _distance(wanted, candidate)
        if distance < nearest:
            best, nearest = candidate, distance
    if best and not case_sensitive:
        if value == value.upper() and value != value.lower():
            return best.upper()
        return best.lower()
    return best


def _distance(one: str, other: str) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (left != right))
    return row[-1]


def with_suggestion(
    message: str, value: str, options: Iterable[str], *, case_sensitive: bool = True
) -> str:
    """``message (did you mean X?)``, if there is an X."""
    match = suggest(value, options, case_sensitive=case_sensitive)
    return f"{message} (did you mean {match}?)" if match else message
