"""``WWW-Authenticate``: which proof a server wants (RFC 7235, RFC 6750). No IO."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SPACE: Final = re.compile(r"[ \t]*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LIMIT_CHARACTERS: Final = 16384


@dataclass(frozen=True, slots=True)
class Challenge:
    """``scheme`` in lower case (``bearer``, ``basic``); parameter names too, values as sent."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse(headers: Iterable[str]) -> list[Challenge]:
    """All challenges of all ``WWW-Authenticate`` headers; what can't be read is left out.

    One header may hold several challenges: ``Basic realm="x", Bearer realm="y",service="z"``.
    """
    found: list[Challenge] = []
    for header in headers:
        found += _parse_one(header[:_LIMIT_CHARACTERS])
    return found


def _parse_one(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while position < len(text):
        position = _skip(text, position, " \t,")
        match = _TOKEN.match(text, position)
        if match is None:
            break
        word, position = match[0], match.end()
        after = _skip(text, position, " \t")
        if after < len(text) and text[after] == "=" and found:
            value = _value(text, _skip(text, after + 1, " \t"))
            if value is None:
                break
            found[-1].parameters.setdefault(word.lower(), value[0])
            position = value[1]
        else:
            found.append(Challenge(word.lower()))
    return found


def _skip(text: str, position: int, characters: str) -> int:
    while position < len(text) and text[position] in characters:
        position += 1
    return position


def _value(text: str, position: int) -> tuple[str, int] | None:
    """A token or quoted string, and where it ends."""
    if quoted := _QUOTED.match(text, position):
        return re.sub(r"\\(.)", r"\1", quoted[1]), quoted.end()
    # Realms without quotes are URLs, whose characters no token has: up to the next comma.
    end = text.find(",", position)
    end = len(text) if end < 0 else end
    value = text[position:end].strip()
    return (value, end) if value and '"' not in value else None
