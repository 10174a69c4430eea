"""``--chmod``: octal, or symbolic as chmod(1) has it. No IO.

Source: POSIX chmod ("symbolic_mode"), with a umask of 0 as BuildKit takes it.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from typing import Final

from pierhead.errors import InvalidParameter

_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)\Z")
_ACTION: Final = re.compile(r"([-+=])([rwxXst]*|[ugo])(?=[-+=]|\Z)")
_WHO: Final = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_BITS: Final = {"r": 0o444, "w": 0o222, "x": 0o111}
_SHIFT: Final = {"u": 6, "g": 3, "o": 0}


@dataclass(frozen=True, slots=True)
class Chmod:
    """What becomes of a mode."""

    octal: int | None = None
    clauses: tuple[tuple[str, str, str], ...] = ()  # who, operator, permissions

    def apply(self, mode: int) -> int:
        """``mode`` is a whole st_mode; symlinks have no mode of their own."""
        if stat.S_ISLNK(mode):
            return mode
        kind, bits = stat.S_IFMT(mode), stat.S_IMODE(mode)
        if self.octal is not None:
            return kind | self.octal
        for who, operator, what in self.clauses:
            bits = _change(bits, who, operator, what, is_dir=stat.S_ISDIR(mode))
        return kind | bits


def _change(bits: int, who: str, operator: str, what: str, *, is_dir: bool) -> int:
    whole = who in ("", "a") or "a" in who
    mask = 0o7777 if whole else 0
    for letter in who:
        mask |= _WHO.get(letter, 0)
    value = 0
    for letter in what:
        if letter in _BITS:
            value |= _BITS[letter]
        elif letter == "X":
            value |= 0o111 if is_dir or bits & 0o111 else 0
        elif letter == "s":
            value |= 0o6000
        elif letter == "t":
            value |= 0o1000
        else:  # copied from another class
            three = bits >> _SHIFT[letter] & 7
            value |= three << 6 | three << 3 | three
    if what == "t" and not whole:
        mask |= 0o1000
    value &= mask
    if operator == "+":
        return bits | value
    if operator == "-":
        return bits & ~value
    keep = 0o7000 if is_dir else 0  # chmod(1): "=" leaves a directory's set-id bits alone
    return bits & ~(mask & ~keep) | value


def parse(text: str) -> Chmod | None:
    """``None`` for "". Raises ``InvalidParameter`` with BuildKit's words."""
    if not text:
        return None
    if re.fullmatch(r"[0-9]+", text):
        try:
            octal = int(text, 8)
        except ValueError:
            octal = -1
        if not 0 <= octal <= 0o7777:
            raise InvalidParameter(
                f"invalid chmod parameter: '{text}'. it should be octal string "
                "and between 0 and 07777"
            )
        return Chmod(octal)
    clauses = []
    for clause in text.split(","):
        match = _CLAUSE.match(clause)
        if match is None:
            raise InvalidParameter(
                f"invalid chmod parameter: '{text}': {clause!r} is no mode as chmod(1) has it"
            )
        clauses += [(match[1], action[1], action[2]) for action in _ACTION.finditer(match[2])]
    return Chmod(None, tuple(clauses))
