"""``<<NAME``: which words of a line open a heredoc. No IO."""

from __future__ import annotations

import re

from pierhead.build.dockerfile import words
from pierhead.build.dockerfile.model import Heredoc

_HEREDOC = re.compile(r"\d*<<(-?)\s*([^<]*)\Z", re.ASCII)


def parse_word(word: str) -> Heredoc | None:
    """The heredoc (without content) that a word opens, or ``None``. ``WordError``."""
    match = _HEREDOC.match(word)
    if match is None or not match[2]:
        return None
    # With and without quotes: if they differ in quotes, the name is quoted, and its text raw.
    plain = words.lex(match[2], {}, keep_unset=True)
    if len(plain.words) != 1:
        return None
    raw = words.lex(match[2], {}, raw_quotes=True, keep_unset=True)
    if len(raw.words) != 1:
        raise words.WordError(
            f"internal lexing of heredoc produced inconsistent results: {match[2]}"
        )
    return Heredoc(
        name=plain.words[0],
        content="",
        expand=_quotes(plain.words[0]) == _quotes(raw.words[0]),
        chomp=match[1] == "-",
    )


def opens(word: str) -> Heredoc | None:
    """As ``parse_word``; what can't be read opens nothing."""
    try:
        return parse_word(word)
    except words.WordError:
        return None


def of_line(line: str) -> list[Heredoc]:
    """Those that a logical line opens, in order. ``WordError``."""
    try:
        found = words.lex(line, {}, raw_quotes=True, raw_escapes=True, keep_unset=True).words
    except words.WordError:
        return []
    return [heredoc for word in found if (heredoc := parse_word(word)) is not None]


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')
