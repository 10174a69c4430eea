""".dockerignore rules and the patterns of ``--exclude``: pure, and light to import.

Semantics are those of moby's patternmatcher: Go's ``filepath.Match`` with ``**``, rules in
order, the last one that matches wins, "!" takes back, a match of a directory is one of all
below it. Paths are relative, "/"-separated, of bytes or str, and never start with "/".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class PatternError(ValueError):
    """``syntax error in pattern``, or an exclusion of nothing (``!``)."""


def read(text: bytes | str) -> list[str]:
    """The patterns of a .dockerignore: comments and blanks gone, paths cleaned."""
    raise NotImplementedError


class Patterns:
    """A compiled list of patterns, some with "!"."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """``PatternError``."""
        self.patterns: Sequence[str] = tuple(patterns)
        raise NotImplementedError

    def matches(self, path: bytes | str) -> bool:
        """Whether ``path`` or a directory above it matches in the end."""
        raise NotImplementedError

    def may_match_below(self, directory: bytes | str) -> bool:
        """Whether anything below ``directory`` could match."""
        raise NotImplementedError

    def may_spare_below(self, directory: bytes | str) -> bool:
        """Whether anything below a ``directory`` that matches could fail to match ("!")."""
        raise NotImplementedError


class Rules:
    """A .dockerignore."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = tuple(patterns)

    @classmethod
    def parse(cls, text: bytes | str) -> Rules:
        """``PatternError``."""
        return cls(read(text))

    def ignored(self, path: bytes | str, is_dir: bool = False) -> bool:
        """Whether this one is left out. A directory that is may still hold wanted files."""
        raise NotImplementedError

    def may_hold(self, directory: bytes | str) -> bool:
        """Whether anything below could be wanted: else the walk need not go in."""
        raise NotImplementedError
