"""Words of a Dockerfile instruction: quotes, escapes and ``$VARIABLES`` (no IO).

The rules of buildkit's shell lexer, as far as instructions that need no shell use it:
single quotes keep everything, double quotes expand, ``\\`` escapes the next character,
``${NAME:-default}`` and ``${NAME:+other}`` work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from pierhead.errors import InvalidParameter

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#]", re.ASCII)


def json_list(text: str) -> list[str] | None:
    """``["a", "b"]`` as a list of strings; None if it is anything else (then it's a shell line)."""
    if not text.startswith("["):
        return None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(parsed, list) and all(isinstance(item, str) for item in parsed):
        return parsed
    return None


def split_words(text: str) -> list[str]:
    """Split at blanks outside of quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    word = ""
    quote = ""
    position = 0
    while position < len(text):
        char = text[position]
        if quote:
            word += char
            if char == "\\" and quote == '"' and position + 1 < len(text):
                position += 1
                word += text[position]
            elif char == quote:
                quote = ""
        elif char.isspace():
            if word:
                words.append(word)
            word = ""
        else:
            word += char
            if char in "'\"":
                quote = char
            elif char == "\\" and position + 1 < len(text):
                position += 1
                word += text[position]
        position += 1
    if word:
        words.append(word)
    return words


def expand(word: str, env: Mapping[str, str]) -> str:
    """Take quotes and escapes away and put variables in. Raises ``InvalidParameter``."""
    return _Expander(word, env).run()


class _Expander:
    def __init__(self, text: str, env: Mapping[str, str]) -> None:
        self._text = text
        self._env = env
        self._at = 0

    def run(self) -> str:
        out = ""
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            self._at += 1
            if char == "'":
                end = text.find("'", self._at)
                if end < 0:
                    raise InvalidParameter(
                        "unexpected end of statement while looking for matching single-quote"
                    )
                out += text[self._at : end]
                self._at = end + 1
            elif char == '"':
                out += self._double()
            elif char == "\\":
                if self._at < len(text):
                    out += text[self._at]
                    self._at += 1
            elif char == "$":
                out += self._variable()
            else:
                out += char
        return out

    def _double(self) -> str:
        out = ""
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            self._at += 1
            if char == '"':
                return out
            if char == "\\" and self._at < len(text):
                following = text[self._at]
                if following in '"$\\':
                    out += following
                    self._at += 1
                else:
                    out += char
            elif char == "$":
                out += self._variable()
            else:
                out += char
        raise InvalidParameter(
            "unexpected end of statement while looking for matching double-quote"
        )

    def _variable(self) -> str:
        text = self._text
        if not text.startswith("{", self._at):
            match = _NAME.match(text, self._at)
            if match is None:
                return "$"
            self._at = match.end()
            return self._env.get(match[0], "")
        match = _NAME.match(text, self._at + 1)
        end = self._closing_brace()
        if match is None or end < 0:
            raise InvalidParameter("syntax error: missing '}'" if end < 0 else "bad substitution")
        rest = text[match.end() : end]
        self._at = end + 1
        value = self._env.get(match[0])
        if not rest:
            return value or ""
        operator, other = rest[:2], rest[2:]
        if rest[0] in "-+":
            operator, other = rest[0], rest[1:]
            is_set = value is not None
        else:
            is_set = bool(value)
        if operator.endswith("-"):
            return value if is_set and value is not None else expand(other, self._env)
        if operator.endswith("+"):
            return expand(other, self._env) if is_set else ""
        raise InvalidParameter(f"unsupported modifier ({operator}) in substitution")

    def _closing_brace(self) -> int:
        depth = 0
        for index in range(self._at, len(self._text)):
            if self._text[index] == "{":
                depth += 1
            elif self._text[index] == "}":
                depth -= 1
                if depth == 0:
                    return index
        return -1
