"""A Dockerfile's bytes to nodes: logical lines, their keyword, flags and arguments. No IO.

What stands here is BuildKit's ``frontend/dockerfile/parser``: continuations, comments within
them, heredocs, and how each keyword cuts its arguments. What the arguments mean is for
``instructions``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pierhead.build.dockerfile import heredoc
from pierhead.build.dockerfile.directives import Directives
from pierhead.build.dockerfile.gotext import SPACES, is_space, quote, trim
from pierhead.build.dockerfile.model import Heredoc, ParserWarning
from pierhead.build.dockerfile.model import Range as Lines
from pierhead.build.dockerfile.words import WordError

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_WITH_HEREDOCS = frozenset({"ADD", "COPY", "RUN"})
_CONTINUES = {
    escape: re.compile(
        rf"([^{re.escape(escape)}]){re.escape(escape)}[ \t]*\Z|"
        rf"\A{re.escape(escape)}[ \t]*\Z",
        re.DOTALL,
    )
    for escape in ("\\", "`")
}
EMPTY_CONTINUATION = "NoEmptyContinuation"


class LineError(ValueError):
    """A fault in a line. ``location`` is set by whoever knows it."""

    def __init__(self, message: str, first: int = 0, last: int = 0) -> None:
        super().__init__(message)
        self.first = first
        self.last = max(first, last)


@dataclass(slots=True, kw_only=True)
class Node:
    """One logical line."""

    keyword: str
    """As written."""
    flags: list[str] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    """ENV and LABEL: three for each pair (key, value, "=" or "")."""
    is_json: bool = False
    original: str = ""
    heredocs: list[Heredoc] = field(default_factory=list)
    first: int = 0
    last: int = 0
    comments: list[str] = field(default_factory=list)
    child: Node | None = None
    """ONBUILD's instruction."""

    @property
    def name(self) -> str:
        return self.keyword.upper()

    def takes_heredocs(self) -> bool:
        node = self.child if self.name == "ONBUILD" and self.child else self
        return node.name in _WITH_HEREDOCS and not node.is_json


@dataclass(slots=True)
class Parsed:
    nodes: list[Node]
    directives: Directives
    warnings: list[ParserWarning]
    last_line: int


def parse_lines(data: bytes) -> Parsed:
    """``LineError`` with BuildKit's words. Bytes that aren't UTF-8 become lone surrogates."""
    return _Reader(data).read()


def parse_line(line: str, escape: str = "\\") -> Node:
    """One logical line without continuations. ``LineError``."""
    keyword, flags, rest = split_command(line, escape)
    node = Node(keyword=keyword, flags=flags, original=line)
    handler = _HANDLERS.get(keyword.upper())
    if handler is not None:  # what is unknown is found out later, with its place
        handler(node, rest, escape)
    return node


class _Reader:
    def __init__(self, data: bytes) -> None:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        self.lines = text.split("\n")
        if self.lines[-1] == "":
            self.lines.pop()
        self.at = 0
        self.directives = Directives()
        self.nodes: list[Node] = []
        self.warnings: list[ParserWarning] = []

    def read(self) -> Parsed:
        comments: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip("\r\n").lstrip(SPACES)
            self.at += 1
            is_directive = self._directive(line)
            if line.startswith("#"):
                comment = trim(line[1:])
                if not comment:
                    comments = []
                elif not is_directive:
                    comments.append(comment)
                continue
            line, ended = self._join(line)
            if ended and not line:
                continue
            first = self.at
            line = self._continue(line, ended)
            self._add(line, first, comments)
            comments = []
        if not self.nodes:
            raise LineError("file with no instructions", len(self.lines))
        return Parsed(self.nodes, self.directives, self.warnings, len(self.lines))

    def _directive(self, line: str) -> bool:
        try:
            return bool(self.directives.feed(line, self.at))
        except ValueError as error:
            raise LineError(str(error), self.at) from error

    def _join(self, line: str) -> tuple[str, bool]:
        """Without its continuation character; and whether the logical line ends here."""
        match = _CONTINUES[self.directives.escape].search(line)
        if match is None:
            return line, True
        return line[: match.start()] + (match[1] or ""), False

    def _continue(self, line: str, ended: bool) -> str:
        parts = [line]
        empty = False
        while not ended and self.at < len(self.lines):
            raw = self.lines[self.at]
            self.at += 1
            following = raw.rstrip("\r\n")
            stripped = following.lstrip(SPACES)
            if stripped.startswith("#"):
                continue
            if not stripped:
                empty = True
                continue
            following, ended = self._join(following)
            parts.append(following)
        line = "".join(parts)
        if empty:
            self.warnings.append(
                ParserWarning(
                    EMPTY_CONTINUATION,
                    f"Empty continuation line found in: {line}",
                    Lines(self.at, self.at),
                )
            )
        return line

    def _add(self, line: str, first: int, comments: list[str]) -> None:
        try:
            node = parse_line(line, self.directives.escape)
            if "<<" in line and node.takes_heredocs():
                node.heredocs = [self._content(opened, first) for opened in heredoc.of_line(line)]
        except (LineError, WordError) as error:
            raise LineError(str(error), first, self.at) from error
        node.first, node.last, node.comments = first, self.at, comments
        self.nodes.append(node)

    def _content(self, opened: Heredoc, first: int) -> Heredoc:
        content: list[str] = []
        while self.at < len(self.lines):
            raw = self.lines[self.at]
            self.at += 1
            candidate = raw.rstrip("\r\n")
            if opened.chomp:
                candidate = candidate.lstrip("\t")
            if candidate == opened.name:
                return Heredoc(
                    name=opened.name,
                    content="".join(content),
                    expand=opened.expand,
                    chomp=opened.chomp,
                )
            content.append(raw + "\n")
        raise LineError("unterminated heredoc", first, self.at)


def split_command(line: str, escape: str) -> tuple[str, list[str], str]:
    """Keyword, ``--flags`` behind it, and the rest."""
    parts = _BLANKS.split(trim(line), maxsplit=1)
    if len(parts) < 2:
        return parts[0], [], ""
    flags, rest = _split_flags(parts[1], escape)
    return parts[0], flags, trim(rest)


def _split_flags(text: str, escape: str) -> tuple[list[str], str]:
    """Words that start with ``--``, unquoted, and what follows them; ``--`` ends them."""
    flags: list[str] = []
    at, end = 0, len(text)
    while True:
        while at < end and is_space(text[at]):
            at += 1
        if at == end:
            return flags, ""
        if not text.startswith("--", at):
            return flags, text[at:]
        word: list[str] = []
        quoted = ""
        blank_counts = False
        while at < end:
            char = text[at]
            if not quoted and is_space(char):
                break
            if quoted and char == quoted:
                quoted = ""
            elif not quoted and char in "'\"":
                quoted, blank_counts = char, True
            elif char == escape:
                at += 1
                word.append(text[at : at + 1])
            else:
                word.append(char)
            at += 1
        flag = "".join(word)
        if flag == "--":
            return flags, text[at:]
        if flag or blank_counts:
            flags.append(flag)


def split_words(text: str, escape: str) -> list[str]:
    """Words between blanks; quotes and escapes hold them together and stay in them."""
    words: list[str] = []
    at, end = 0, len(text)
    while True:
        while at < end and is_space(text[at]):
            at += 1
        if at == end:
            return words
        word: list[str] = []
        quoted = ""
        while at < end:
            char = text[at]
            if not quoted and is_space(char):
                break
            at += 1
            # The escape is special except between "'".
            if char == escape and quoted != "'":
                if at == end:
                    break  # the last character escapes nothing
                word += char, text[at]
                at += 1
                continue
            if quoted and char == quoted:
                quoted = ""
            elif not quoted and char in "'\"":
                quoted = char
            word.append(char)
        if word:
            words.append("".join(word))


def parse_json(rest: str) -> list[str] | None:
    """The strings of a JSON list; ``None`` if it is none. ``LineError`` if it has others."""
    rest = rest.lstrip(SPACES)
    if not rest.startswith("["):
        return None
    try:
        # Python takes NaN and Infinity for numbers, JSON and Go don't.
        value = json.loads(rest, parse_constant=_not_json, parse_int=_number, parse_float=_number)
    except ValueError:
        return None
    except RecursionError:
        value = [None]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise LineError("when using JSON array syntax, arrays must be comprised of strings only")
    return [_no_lone_surrogates(item) for item in value]


def _not_json(text: str) -> None:
    raise ValueError(text)


def _number(text: str) -> None:
    """No number is wanted, and a long one would take long."""
    return None


def _no_lone_surrogates(text: str) -> str:
    """``"\\ud800"`` is U+FFFD to Go; bytes that weren't UTF-8 stay what they were."""
    return re.sub("[\ud800-\udbff]|[\udc00-\udc7f]|[\udd00-\udfff]", "\ufffd", text)


def _maybe_json(node: Node, rest: str, escape: str) -> None:
    if not rest:
        return
    items = parse_json(rest)
    node.is_json = items is not None
    node.args = [rest] if items is None else items


def _maybe_json_list(node: Node, rest: str, escape: str) -> None:
    items = parse_json(rest)
    if items is None:
        _whitespace(node, rest, escape)
    else:
        node.is_json, node.args = True, items


def _whitespace(node: Node, rest: str, escape: str) -> None:
    node.args = _BLANKS.split(rest) if rest else []


def _string(node: Node, rest: str, escape: str) -> None:
    node.args = [rest] if rest else []


def _names(node: Node, rest: str, escape: str) -> None:
    node.args = split_words(rest, escape)


def _pairs(node: Node, rest: str, escape: str) -> None:
    """``name=value ...``, or the old ``name value``: what comes first tells, "=" or blank."""
    words = split_words(rest, escape)
    if not words:
        return
    if "=" not in words[0]:
        parts = _BLANKS.split(rest, maxsplit=1)
        if len(parts) < 2:
            raise LineError(f"{node.name} must have two arguments")
        node.args = [parts[0], parts[1], ""]
        return
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise LineError(
                f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value"
            )
        node.args += key, value, "="


def _health(node: Node, rest: str, escape: str) -> None:
    end = next((at for at, char in enumerate(rest) if is_space(char)), len(rest))
    if not end:
        return
    kind = rest[:end]
    _maybe_json(node, rest[end:].lstrip(SPACES), escape)
    node.args.insert(0, kind)


def _onbuild(node: Node, rest: str, escape: str) -> None:
    if not rest:
        return
    keyword = _BLANKS.split(rest, maxsplit=1)[0]
    # "ONBUILD ONBUILD ..." is refused later; here it must only not go too deep.
    chained = keyword.upper() == "ONBUILD"
    node.child = Node(keyword=keyword, original=rest) if chained else parse_line(rest, escape)
    node.args = [node.child.keyword, *node.child.args]


_HANDLERS: dict[str, Callable[[Node, str, str], None]] = {
    "ADD": _maybe_json_list,
    "ARG": _names,
    "CMD": _maybe_json,
    "COPY": _maybe_json_list,
    "ENTRYPOINT": _maybe_json,
    "ENV": _pairs,
    "EXPOSE": _whitespace,
    "FROM": _whitespace,
    "HEALTHCHECK": _health,
    "INCLUDE": _string,
    "LABEL": _pairs,
    "MAINTAINER": _string,
    "ONBUILD": _onbuild,
    "RUN": _maybe_json,
    "SHELL": _maybe_json,
    "STOPSIGNAL": _string,
    "USER": _string,
    "VOLUME": _maybe_json_list,
    "WORKDIR": _string,
}
KEYWORDS = frozenset(_HANDLERS) - {"INCLUDE"}
