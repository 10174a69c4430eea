"""Go's ``filepath.Match`` over bytes, for COPY's sources. No IO.

``*`` and ``?`` never match "/", ``[a-z]`` and ``[^a-z]`` are classes, a backslash takes the
meaning of the next character away. Source: Go's path/filepath/match.go.
"""

from __future__ import annotations

import re

from pierhead.errors import InvalidParameter


def has_wildcards(text: bytes) -> bool:
    """Whether ``text`` holds ``*``, ``?`` or ``[`` that no backslash disarms."""
    skip = False
    for byte in text:
        if skip:
            skip = False
        elif byte == 0x5C:
            skip = True
        elif byte in b"*?[":
            return True
    return False


def split(path: bytes) -> tuple[bytes, bytes]:
    """The directories before the first component with wildcards, and the rest."""
    parts = [part for part in path.split(b"/") if part]
    for number, part in enumerate(parts):
        if has_wildcards(part):
            return b"/".join(parts[:number]), b"/".join(parts[number:])
    return b"/".join(parts), b""


def compile_match(pattern: bytes) -> re.Pattern[bytes]:
    """``InvalidParameter`` ("syntax error in pattern") for a broken one."""
    out = bytearray()
    position = 0
    while position < len(pattern):
        char = pattern[position : position + 1]
        position += 1
        if char == b"*":
            out += b"[^/]*"
        elif char == b"?":
            out += b"[^/]"
        elif char == b"[":
            position = _class(pattern, position, out)
        elif char == b"\\":
            if position >= len(pattern):
                raise _bad(pattern)
            out += re.escape(pattern[position : position + 1])
            position += 1
        else:
            out += re.escape(char)
    return re.compile(bytes(out), re.DOTALL)


def _class(pattern: bytes, position: int, out: bytearray) -> int:
    """Translate what follows "["; where the pattern goes on."""
    negated = pattern[position : position + 1] == b"^"
    position += negated
    body = bytearray()
    while True:
        if pattern[position : position + 1] == b"]" and body:
            break
        low, position = _one(pattern, position)
        high = low
        if pattern[position : position + 1] == b"-":
            high, position = _one(pattern, position + 1)
        if low <= high:
            body += b"\\x%02x-\\x%02x" % (low, high)
        elif not body:
            body += b"\\x2f-\\x2f"  # an empty range: "/" is taken out below
    out += b"(?!/)[" + (b"^" if negated else b"") + body + b"]"
    return position + 1


def _one(pattern: bytes, position: int) -> tuple[int, int]:
    char = pattern[position : position + 1]
    if char in (b"", b"-", b"]"):
        raise _bad(pattern)
    if char == b"\\":
        position += 1
        char = pattern[position : position + 1]
        if not char:
            raise _bad(pattern)
    return char[0], position + 1


def _bad(pattern: bytes) -> InvalidParameter:
    return InvalidParameter(f"syntax error in pattern: {pattern.decode('utf-8', 'replace')}")
