""".dockerignore rules and the patterns of ``--exclude``: pure, and light to import.

Semantics are those of moby's patternmatcher: Go's ``filepath.Match`` with ``**``, rules in
order, the last one that matches wins, "!" takes back, a match of a directory is one of all
below it. Paths are relative, "/"-separated, of bytes or str, and never start with "/".

Rules side by side that say the same ("leave out" or "take back") are one ``_Group`` with one
regular expression, so a walk asks a few questions per file and not one per rule. Simple rules
need no ``re``, which the client would have to wait for.
"""

from __future__ import annotations

import posixpath

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

_SPACES = "\t\n\v\f\r \x85\xa0"
_GLOB = frozenset("*?[\\")
_ESCAPED_IN_REGEX = frozenset(".+()|{}$")
# Letters that mean something to Go's regexp and Python's alike when behind a backslash.
_CLASSES = frozenset("dDwWsSbBafnrtv")


class PatternError(ValueError):
    """``syntax error in pattern``, or an exclusion of nothing (``!``)."""


def read(text: bytes | str) -> list[str]:
    """The patterns of a .dockerignore: comments and blanks gone, paths cleaned."""
    if isinstance(text, bytes):
        text = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    patterns = []
    for line in text.split("\n"):
        if line.startswith("#"):
            continue
        pattern = line.strip(_SPACES)
        if not pattern:
            continue
        invert = pattern.startswith("!")
        if invert:
            pattern = pattern[1:].strip(_SPACES)
        if pattern:
            pattern = clean(pattern)
            if len(pattern) > 1:
                pattern = pattern.removeprefix("/")
        patterns.append("!" + pattern if invert else pattern)
    return patterns


def clean(path: str) -> str:
    """``filepath.Clean``."""
    cleaned = posixpath.normpath(path) if path else "."
    return cleaned[1:] if cleaned.startswith("//") else cleaned


class Pattern:
    """One pattern, cleaned, without its "!"."""

    __slots__ = ("exclusion", "kind", "parts", "regex", "text")

    def __init__(self, text: str, exclusion: bool) -> None:
        """``PatternError``."""
        _check_syntax(text)
        self.text = text
        self.exclusion = exclusion
        self.kind, self.regex = _compile(text)
        self.parts: list[re.Pattern[str] | str] | None = None

    def reaches_below(self, directory: str) -> bool:
        """Whether it could match something below ``directory``; may say yes too often."""
        names = directory.split("/")
        if "**" in self.text or "\\" in self.text or "[" in self.text:
            # Hard to cut at "/": only what stands before the first wildcard is looked at.
            at = next((at for at, char in enumerate(self.text) if char in _GLOB), len(self.text))
            literal = self.text[:at].rpartition("/")[0]
            wanted = literal.split("/") if literal else []
            return all(one == other for one, other in zip(wanted, names, strict=False))
        if self.parts is None:
            self.parts = [
                _regex(_python_regex(_go_regex(part)[1])) if _GLOB.intersection(part) else part
                for part in self.text.split("/")
            ]
        # Names above the pattern's last one must agree; a directory that it matches as a whole
        # brings all below it.
        return all(
            part == name if isinstance(part, str) else part.match(name) is not None
            for part, name in zip(self.parts, names, strict=False)
        )


class _Group:
    """Patterns in a row with the same sign: whether any of them matches."""

    __slots__ = ("exact", "exclusion", "prefixes", "regex", "stars", "suffixes")

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.exclusion = patterns[0].exclusion
        self.exact: set[str] = set()
        self.stars: list[tuple[str, str]] = []
        prefixes: list[str] = []
        suffixes: list[str] = []
        regexes: list[str] = []
        for pattern in patterns:
            if pattern.kind == "exact":
                self.exact.add(pattern.text)
            elif pattern.kind == "prefix":
                prefixes.append(pattern.text[:-2])
            elif pattern.kind == "suffix":
                suffix = pattern.text[2:]
                suffixes.append(suffix)
                if suffix.startswith("/"):
                    self.exact.add(suffix[1:])
            elif pattern.kind == "tail":
                suffixes.append(pattern.text[4:])
            elif pattern.kind == "star":
                before, _, after = pattern.text.partition("*")
                self.stars.append((before, after))
            else:
                regexes.append(pattern.regex)
        self.prefixes = tuple(prefixes)
        self.suffixes = tuple(suffixes)
        self.regex = _regex("|".join(f"(?:{one})" for one in regexes)) if regexes else None

    def matches(self, path: str) -> bool:
        return (
            path in self.exact
            or path.startswith(self.prefixes)
            or path.endswith(self.suffixes)
            or any(
                path.startswith(before)
                and path.endswith(after)
                and len(path) >= len(before) + len(after)
                and "/" not in path[len(before) : len(path) - len(after)]
                for before, after in self.stars
            )
            or (self.regex is not None and self.regex.match(path) is not None)
        )


class Patterns:
    """A compiled list of patterns, some with "!"."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """``PatternError``."""
        compiled: list[Pattern] = []
        for text in patterns:
            text = text.strip(_SPACES)
            if not text:
                continue
            text = clean(text)
            exclusion = text.startswith("!")
            if exclusion:
                text = text[1:]
                if not text:
                    raise PatternError('illegal exclusion pattern: "!"')
            compiled.append(Pattern(text, exclusion))
        self.compiled: Sequence[Pattern] = tuple(compiled)
        self.has_exclusions = any(pattern.exclusion for pattern in compiled)
        self._groups: list[_Group] = []
        start = 0
        for index in range(1, len(compiled) + 1):
            if index == len(compiled) or compiled[index].exclusion != compiled[start].exclusion:
                self._groups.append(_Group(compiled[start:index]))
                start = index

    def matches(self, path: bytes | str) -> bool:
        """Whether ``path`` or a directory above it matches in the end."""
        text = _text(path)
        above = _above(text)
        matched = False
        for group in self._groups:
            # A rule that would change nothing isn't asked.
            if group.exclusion == matched and (
                group.matches(text) or any(group.matches(directory) for directory in above)
            ):
                matched = not group.exclusion
        return matched

    def step(self, path: bytes | str, parent: int | None = None) -> tuple[bool, int]:
        """For walks from above: whether ``path`` matches, and what its children are told.

        ``parent`` is what the directory above gave (``None`` for one at the top); the result is
        that of BuildKit's and docker's walks.
        """
        text = _text(path)
        state, bit = 0, 1
        matched = False
        for group in self._groups:
            hit = bool(parent and parent & bit)
            if not hit and group.exclusion == matched:
                hit = group.matches(text)
                if not hit and parent is None:
                    hit = any(group.matches(directory) for directory in _above(text))
            if hit:
                state |= bit
                matched = not group.exclusion
            bit <<= 1
        return matched, state

    def may_match_below(self, directory: bytes | str) -> bool:
        """Whether anything below ``directory`` could match."""
        text = _text(directory)
        if text in ("", "."):
            return True
        return any(
            pattern.reaches_below(text) for pattern in self.compiled if not pattern.exclusion
        )

    def may_spare_below(self, directory: bytes | str) -> bool:
        """Whether anything below a ``directory`` that matches could fail to match ("!")."""
        if not self.has_exclusions:
            return False
        text = _text(directory)
        if text in ("", "."):
            return True
        return any(pattern.reaches_below(text) for pattern in self.compiled if pattern.exclusion)


class Rules:
    """A .dockerignore.

    A walk: for each entry ``left_out, state = rules.step(path, state_of_its_directory)``; go into
    a directory that is left out only if ``may_hold``; what is found there brings the directories
    above it along.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """``PatternError``."""
        self.patterns = tuple(patterns)
        self.compiled = Patterns(self.patterns)

    @classmethod
    def parse(cls, text: bytes | str) -> Rules:
        """``PatternError``."""
        return cls(read(text))

    def keeping(self, *names: str) -> Rules:
        """With ``!name`` for those that would be left out: Dockerfile and .dockerignore are sent
        to a classic builder in any case."""
        extra = [f"!{name}" for name in names if self.ignored(clean(name))]
        return Rules((*self.patterns, *extra)) if extra else self

    def ignored(self, path: bytes | str) -> bool:
        """Whether this one is left out. A directory that is may still hold wanted files."""
        return path not in ("", ".", b"", b".") and self.compiled.matches(path)

    def step(self, path: bytes | str, parent: int | None = None) -> tuple[bool, int]:
        """``Patterns.step``."""
        return self.compiled.step(path, parent)

    def may_hold(self, directory: bytes | str) -> bool:
        """Whether anything below could be wanted: else the walk need not go in."""
        return not self.ignored(directory) or self.compiled.may_spare_below(directory)


def _text(path: bytes | str) -> str:
    return path if isinstance(path, str) else path.decode("utf-8", "surrogateescape")


def _above(path: str) -> list[str]:
    """The directories above, from the top."""
    found = []
    at = path.find("/")
    while at > 0:
        found.append(path[:at])
        at = path.find("/", at + 1)
    return found


def _check_syntax(pattern: str) -> None:
    """What ``filepath.Match`` refuses: classes that don't end or are empty, a last backslash."""
    at, end = 0, len(pattern)

    def member(at: int) -> int:
        if at >= end or pattern[at] in "-]":
            raise PatternError("syntax error in pattern")
        if pattern[at] == "\\":
            at += 1
        if at + 1 >= end:
            raise PatternError("syntax error in pattern")
        return at + 1

    while at < end:
        char = pattern[at]
        at += 1
        if char == "\\":
            if at == end:
                raise PatternError("syntax error in pattern")
            at += 1
        elif char == "[":
            if at < end and pattern[at] == "^":
                at += 1
            count = 0
            while not (at < end and pattern[at] == "]" and count):
                at = member(at)
                if pattern[at] == "-":
                    at = member(at + 1)
                count += 1
            at += 1


def _go_regex(pattern: str) -> tuple[str, str]:
    """What kind of match a pattern needs, and moby's regular expression for it."""
    out = ["^"]
    kind = "exact"
    at, end, first = 0, len(pattern), True
    while at < end:
        char = pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
            if at < end:
                out.append("(.*/)?")
                kind = "regex"
            elif kind == "exact":
                kind = "prefix"
            else:
                out.append(".*")
                kind = "regex"
            if first:
                kind = "suffix"
        elif char == "*":
            out.append("[^/]*")
            kind = "regex"
        elif char == "?":
            out.append("[^/]")
            kind = "regex"
        elif char in _ESCAPED_IN_REGEX:
            out.append("\\" + char)
        elif char == "\\":
            if at < end:
                out.append("\\" + pattern[at])
                at += 1
                kind = "regex"
            else:
                out.append("\\")
        else:
            if char in "[]":
                kind = "regex"
            out.append(char)
        first = False
    return kind, "".join(out) + "$"


def _compile(pattern: str) -> tuple[str, str]:
    kind, expression = _go_regex(pattern)
    if kind != "regex":
        return kind, ""
    if not _GLOB.intersection(pattern.replace("*", "")):
        # The usual ones need no ``re``: ``*.o``, ``a*b/c``, ``**/*.pyc``.
        if pattern.count("*") == 1:
            return "star", ""
        if pattern.startswith("**/*") and pattern.count("*") == 3 and "/" not in pattern[4:]:
            return "tail", ""
    expression = _python_regex(expression)
    _regex(expression)
    return kind, expression


def _regex(expression: str) -> re.Pattern[str]:
    import re

    try:
        return re.compile(expression)
    except re.error as error:
        raise PatternError("syntax error in pattern") from error


def _python_regex(expression: str) -> str:
    """A regular expression of Go's for ``re``: other end, other rules within brackets."""
    out: list[str] = []
    in_class = False
    at, end = 0, len(expression) - 1  # the last one is "$"
    while at < end:
        char = expression[at]
        at += 1
        if char == "\\":
            following = expression[at : at + 1]
            at += 1
            if following.isascii() and following.isalnum() and following not in _CLASSES:
                raise PatternError("syntax error in pattern")
            if in_class and following in ("b", "B"):
                raise PatternError("syntax error in pattern")
            out.append("\\" + following)
        elif not in_class:
            out.append("\\]" if char == "]" else char)
            if char == "[":
                in_class = True
                if expression[at : at + 1] == "^":
                    out.append("^")
                    at += 1
        else:
            in_class = char != "]"
            out.append("\\" + char if char in "[&~|" else char)
    return "(?a:" + "".join(out) + r")\Z"
