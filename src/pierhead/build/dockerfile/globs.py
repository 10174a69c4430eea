"""``*`` and ``?`` in ``${x#pattern}``, ``${x%pattern}``, ``${x/pattern/with}``. Pure.

A pattern is cut at its stars into pieces of fixed length. The first way a piece fits is always
as good as any later one, so nothing is ever tried twice: hostile patterns cost no more than
honest ones, as with Go's ``regexp`` and unlike with ``re``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


class PatternSyntax(ValueError):
    """A backslash before something that needs none."""


class TooLong(ValueError):
    """The result would be."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What stands between two stars; ``None`` is any character (``?``)."""

    chars: tuple[str | None, ...]

    def find(self, text: str, start: int) -> int:
        """Where it first fits, at or after ``start``; -1 if nowhere."""
        if None not in self.chars:
            return text.find("".join(char or "" for char in self.chars), start)
        match = self._regex().search(text, start)
        return match.start() if match else -1

    def find_last(self, text: str, start: int) -> int:
        if None not in self.chars:
            return text.rfind("".join(char or "" for char in self.chars), start)
        regex = self._regex()
        for at in range(len(text) - len(self.chars), start - 1, -1):
            if regex.match(text, at):
                return at
        return -1

    def fits(self, text: str, at: int) -> bool:
        return len(text) - at >= len(self.chars) and all(
            char is None or char == text[at + index] for index, char in enumerate(self.chars)
        )

    def _regex(self) -> re.Pattern[str]:
        return re.compile(
            "".join("." if char is None else re.escape(char) for char in self.chars), re.DOTALL
        )


@dataclass(frozen=True, slots=True)
class Glob:
    pieces: tuple[Piece, ...]
    """One more than there are stars; some may be empty."""

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """``PatternSyntax``. ``\\*``, ``\\?`` and ``\\\\`` are the characters themselves."""
        pieces: list[Piece] = []
        chars: list[str | None] = []
        at = 0
        while at < len(pattern):
            char = pattern[at]
            at += 1
            if char == "*":
                pieces.append(Piece(tuple(chars)))
                chars = []
            elif char == "?":
                chars.append(None)
            elif char == "\\":
                following = pattern[at : at + 1]
                if following in ("}", "/") and following:
                    continue  # it hid the end of ${}, and is no part of the pattern
                if following not in ("*", "?", "\\") or not following:
                    raise PatternSyntax(f"invalid escape '\\{following or chr(0xFFFD)}'")
                chars.append(following)
                at += 1
            else:
                chars.append(char)
        pieces.append(Piece(tuple(chars)))
        return cls(tuple(pieces))

    def reversed(self) -> Glob:
        return Glob(tuple(Piece(piece.chars[::-1]) for piece in reversed(self.pieces)))

    def end_of_prefix(self, text: str, *, longest: bool) -> int:
        """How much of the beginning of ``text`` it matches; -1 if it doesn't."""
        if not self.pieces[0].fits(text, 0):
            return -1
        return self._rest(text, len(self.pieces[0].chars), longest=longest)

    def replace(self, text: str, replacement: str, *, every: bool, limit: int) -> str:
        """The first match, or every one, replaced; matches are as long as can be.

        ``TooLong`` if that would make more than ``limit`` characters.
        """
        out: list[str] = []
        at = done = 0
        left = limit - len(text)
        first = self.pieces[0]
        while at <= len(text):
            start = first.find(text, at)
            if start < 0:
                break
            end = self._rest(text, start + len(first.chars), longest=True)
            if end < 0:
                break  # the other pieces fit after no later first piece either
            # As Go: an empty match right after another one doesn't count.
            if end > start or start > done or not out:
                out += [text[done:start], replacement]
                done = end
                left -= len(replacement) + start - end
                if left < 0:
                    raise TooLong
                if not every:
                    break
            at = end if end > start else start + 1
        out.append(text[done:])
        return "".join(out)

    def _rest(self, text: str, at: int, *, longest: bool) -> int:
        """Where the match ends whose first piece ended at ``at``; -1 if the others don't fit."""
        last = len(self.pieces) - 1
        for index in range(1, last + 1):
            piece = self.pieces[index]
            if not piece.chars:
                if index == last and longest:
                    return len(text)
                continue
            find = piece.find_last if index == last and longest else piece.find
            start = find(text, at)
            if start < 0:
                return -1
            at = start + len(piece.chars)
        return at


def trim_prefix(pattern: str, value: str, *, longest: bool) -> str:
    """``${value#pattern}``, or ``##``. ``PatternSyntax``, worded as BuildKit words it."""
    end = _parse(pattern).end_of_prefix(value, longest=longest)
    return value if end < 0 else value[end:]


def trim_suffix(pattern: str, value: str, *, longest: bool) -> str:
    """``${value%pattern}``, or ``%%``."""
    end = _parse(pattern).reversed().end_of_prefix(value[::-1], longest=longest)
    return value if end < 0 else value[: len(value) - end]


def replace(
    pattern: str, value: str, replacement: str, *, every: bool, limit: int = 1 << 62
) -> str:
    """``${value/pattern/replacement}``, or ``//``. ``PatternSyntax``, ``TooLong``."""
    return _parse(pattern).replace(value, replacement, every=every, limit=limit)


def _parse(pattern: str) -> Glob:
    try:
        return Glob.parse(pattern)
    except PatternSyntax as error:
        raise PatternSyntax(f"invalid pattern ({pattern}) in substitution: {error}") from error
