"""Shell words in Dockerfiles: quotes, escapes, variables with modifiers. No IO.

Follows BuildKit's lexer (``frontend/dockerfile/shell``), whose tests are ours, too. Two things
are added: a limit on nesting and one on growth, as ``ENV A=$A$A`` forty times over would fill
the machine.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.build.dockerfile import globs
from pierhead.build.dockerfile.gotext import SPACES, quote

MAX_NESTING = 100
MAX_GROWTH = 4 << 20
"""Characters that expansion may add to a text. Linux takes 128 KiB in a variable."""

_EOF = ""
_NO_CHAR = "\ufffd"  # how Go prints the end where it wanted a character
_SPECIAL_PARAMETERS = frozenset("@*#?-$!0")
_BLANK = re.compile(f"[{SPACES}]")
_HEREDOC_BLANKS = "\t\r "


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
    """Expand ``text`` in every way at once; ``WordError`` if it can't be.

    ``raw_quotes`` and ``raw_escapes`` leave these in the result, ``skip_quotes`` takes quotes
    for letters (heredoc bodies), ``keep_unset`` leaves variables that aren't set as they are.
    """
    lexer = _Lexer(text, lookup, escape, raw_quotes, raw_escapes, skip_quotes, keep_unset)
    try:
        result, words = lexer.until(_EOF, raw_escapes)
        if len(result) > len(text) + MAX_GROWTH:
            raise WordError(f"expansion is longer than {MAX_GROWTH} characters")
    except (WordError, globs.PatternSyntax) as error:
        shown = text if len(text) <= 1000 else text[:1000] + "..."
        raise WordError(f"failed to process {quote(shown)}: {error}") from error
    return Lexed(result, tuple(words), frozenset(lexer.matched), frozenset(lexer.unmatched))


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


@functools.lru_cache(maxsize=32)
def _plain(specials: str) -> re.Pattern[str]:
    return re.compile(f"[^{re.escape(specials)}]+", re.DOTALL)


class _Words:
    """Splits what comes in: ``add`` at blanks, ``add_raw`` (quoted, escaped) never."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.parts: list[str] = []

    def add(self, text: str) -> None:
        first, *others = _BLANK.split(text)
        self.parts.append(first)
        for other in others:
            self.close()
            self.parts.append(other)

    def add_raw(self, text: str) -> None:
        self.parts.append(text)

    def close(self) -> None:
        word = "".join(self.parts)
        self.parts.clear()
        if word:
            self.done.append(word)


class _Lexer:
    def __init__(
        self,
        text: str,
        lookup: Mapping[str, str],
        escape: str,
        raw_quotes: bool,
        raw_escapes: bool,
        skip_quotes: bool,
        keep_unset: bool,
    ) -> None:
        self.text = text
        self.at = 0
        self.lookup = lookup
        self.escape = escape
        self.raw_quotes = raw_quotes
        self.raw_escapes = raw_escapes
        self.skip_quotes = skip_quotes
        self.keep_unset = keep_unset
        self.depth = 0
        self.grown = 0
        self.matched: set[str] = set()
        self.unmatched: set[str] = set()

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def next(self) -> str:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        return char

    def until(self, stop: str, raw_escapes: bool) -> tuple[str, list[str]]:
        """The text up to ``stop``, which is passed over; and its words."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise WordError(f"more than {MAX_NESTING} substitutions in each other")
        outer, self.raw_escapes = self.raw_escapes, raw_escapes
        try:
            return self._until(stop)
        finally:
            self.raw_escapes = outer
            self.depth -= 1

    def _until(self, stop: str) -> tuple[str, list[str]]:
        out: list[str] = []
        words = _Words()
        quotes = "" if self.skip_quotes else "'\""
        plain = _plain(f"$<{quotes}{self.escape}{stop}")
        while char := self.peek():
            run = plain.match(self.text, self.at)
            if run:
                self.at = run.end()
                out.append(run[0])
                words.add(run[0])
                continue
            if char == stop:
                self.at += 1
                words.close()
                return "".join(out), words.done
            if char == "$":
                part = self.dollar()
                out.append(part)
                words.add(part)
            elif char == "<":
                part = self.heredoc_mark()
                out.append(part)
                words.add_raw(part)
            elif quotes and char in quotes:
                part = self.single_quoted() if char == "'" else self.double_quoted()
                out.append(part)
                words.add_raw(part)
            else:
                self.at += 1
                if self.raw_escapes:
                    out.append(char)
                    words.add_raw(char)
                escaped = self.next()
                if not escaped:
                    break  # the last character escapes nothing
                out.append(escaped)
                words.add_raw(escaped)
        if stop:
            raise WordError(f"unexpected end of statement while looking for matching {stop}")
        words.close()
        return "".join(out), words.done

    def single_quoted(self) -> str:
        """Everything as it is up to the next "'": there is no escape from these."""
        end = self.text.find("'", self.at + 1)
        if end < 0:
            self.at = len(self.text)
            raise WordError("unexpected end of statement while looking for matching single-quote")
        start, self.at = self.at, end + 1
        return self.text[start : end + 1] if self.raw_quotes else self.text[start + 1 : end]

    def double_quoted(self) -> str:
        opening = self.next()
        out = [opening] if self.raw_quotes else []
        plain = _plain(f'"${self.escape}')
        while True:
            run = plain.match(self.text, self.at)
            if run:
                self.at = run.end()
                out.append(run[0])
            char = self.peek()
            if not char:
                raise WordError(
                    "unexpected end of statement while looking for matching double-quote"
                )
            if char == '"':
                self.at += 1
                if self.raw_quotes:
                    out.append(char)
                return "".join(out)
            if char == "$":
                out.append(self.dollar())
                continue
            self.at += 1
            if self.raw_escapes:
                out.append(char)
            following = self.peek()
            # Only these can be escaped in double quotes; elsewhere the escape is a letter.
            if following and following in f'"${self.escape}':
                char = self.next()
            elif not following:
                continue
            out.append(char)

    def heredoc_mark(self) -> str:
        """``<<`` and the blanks after it: they belong to the word (``<< EOF``)."""
        self.at += 1
        if self.peek() != "<":
            return "<"
        start = self.at
        self.at += 1
        while (char := self.peek()) and char in _HEREDOC_BLANKS:
            self.at += 1
        return "<" + self.text[start : self.at]

    def name(self) -> str:
        """A variable's name, a number, or a special parameter; "" if none stands here."""
        start = self.at
        first = self.peek()
        if first.isdecimal():
            while self.peek().isdecimal():
                self.at += 1
        elif first and first in _SPECIAL_PARAMETERS:
            self.at += 1
        else:
            while (char := self.peek()) and (char.isalpha() or char.isdecimal() or char == "_"):
                self.at += 1
        return self.text[start : self.at]

    def value(self, name: str) -> str | None:
        found = self.lookup.get(name)
        (self.unmatched if found is None else self.matched).add(name)
        if found is not None:
            self.grown += len(found)
            if self.grown > MAX_GROWTH + len(self.text):
                raise WordError(f"expansion is longer than {MAX_GROWTH} characters")
        return found

    def dollar(self) -> str:
        """``$name`` and ``${name...}``."""
        self.at += 1
        if self.peek() != "{":
            name = self.name()
            if not name:
                return "$"
            value = self.value(name)
            if value is None:
                return "$" + name if self.keep_unset else ""
            return value
        self.at += 1
        char = self.peek()
        if not char:
            raise WordError("syntax error: missing '}'")
        if char in "{}:":
            raise WordError("syntax error: bad substitution")
        name = self.name()
        char = self.next()
        if char == "}":
            value = self.value(name)
            if value is None:
                return f"${{{name}}}" if self.keep_unset else ""
            return value
        if char == "/":
            return self.replacement(name)
        modifier = char or _NO_CHAR
        if char == ":":
            char = self.next()
            modifier += char or _NO_CHAR
        elif not char or char not in "+-?#%":
            raise WordError(f"unsupported modifier ({modifier}) in substitution")
        return self.modified(name, char, modifier)

    def modified(self, name: str, char: str, modifier: str) -> str:
        """``${name-word}`` and its like, from behind the modifier on."""
        trims = char in ("#", "%")
        empty_too = len(modifier) == 2
        if trims and empty_too:
            raise WordError(f"unsupported modifier ({modifier}) in substitution")
        word = self.inner("}", trims)
        value = self.value(name)
        if value is None and self.keep_unset:
            return f"${{{name}{modifier}{word}}}"
        missing = value is None or (empty_too and not value)
        if char == "-":
            return word if missing else value or ""
        if char == "+":
            return "" if missing else word
        if char == "?":
            if missing:
                state = "unset" if value is None else "empty"
                raise WordError(f"{name}: {word or f'is not allowed to be {state}'}")
            return value or ""
        if not trims:
            raise WordError(f"unsupported modifier ({modifier}) in substitution")
        longest = word.startswith(char)
        pattern = word[1:] if longest else word
        trim = globs.trim_prefix if char == "#" else globs.trim_suffix
        return trim(pattern, value or "", longest=longest)

    def replacement(self, name: str) -> str:
        """``${name/pattern/with}`` and ``${name//pattern/with}``, from behind the "/" on."""
        every = self.peek() == "/"
        if every:
            self.at += 1
        pattern = self.inner("/", True)
        replacement = self.inner("}", True)
        value = self.value(name)
        if value is None and self.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        room = MAX_GROWTH + len(self.text) - self.grown
        try:
            result = globs.replace(pattern, value or "", replacement, every=every, limit=room)
        except globs.TooLong as error:
            raise WordError(f"expansion is longer than {MAX_GROWTH} characters") from error
        self.grown += len(result)
        return result

    def inner(self, stop: str, raw_escapes: bool) -> str:
        try:
            return self.until(stop, raw_escapes)[0]
        except WordError as error:
            if self.peek():
                raise
            missing = "missing '/' in ${}" if stop == "/" else "missing '}'"
            raise WordError(f"syntax error: {missing}") from error
