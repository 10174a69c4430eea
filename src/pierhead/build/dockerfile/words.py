"""Shell words in Dockerfiles: quotes, escapes, variables with modifiers. No IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class WordError(ValueError):
    """Bad syntax in a word, or ``${X:?message}`` of an unset variable; the text is BuildKit's."""


@dataclass(frozen=True, slots=True)
class Lexed:
    text: str
    words: tuple[str, ...]
    matched: frozenset[str]
    unmatched: frozenset[str]
    """Variables that were asked for and aren't in the lookup (for the lint)."""


def lex(
    text: str,
    lookup: Mapping[str, str],
    *,
    escape: str = "\\",
    raw_quotes: bool = False,
    raw_escapes: bool = False,
    skip_quotes: bool = False,
    keep_unset: bool = False,
) -> Lexed:
    """Expand ``text`` in every way at once; ``WordError`` if it can't be."""
    raise NotImplementedError


def expand(
    text: str,
    lookup: Mapping[str, str],
    *,
    escape: str = "\\",
    unmatched: set[str] | None = None,
) -> str:
    """One word: quotes removed, variables replaced; blanks stay. Unset is "".

    ``unmatched`` gets the names of variables that were not found.
    """
    result = lex(text, lookup, escape=escape)
    if unmatched is not None:
        unmatched |= result.unmatched
    return result.text


def expand_words(
    text: str,
    lookup: Mapping[str, str],
    *,
    escape: str = "\\",
    unmatched: set[str] | None = None,
) -> list[str]:
    """As ``expand``, then split at blanks that are not quoted (EXPOSE)."""
    result = lex(text, lookup, escape=escape)
    if unmatched is not None:
        unmatched |= result.unmatched
    return list(result.words)
