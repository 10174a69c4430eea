"""What Go's standard library calls blank, quoted, a duration: Docker's messages show it. Pure."""

from __future__ import annotations

import re

from pierhead.engine.images.clock import DURATION_UNITS_NS

# unicode.IsSpace: White_Space; str.isspace() would add U+001C..U+001F.
SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_SPACE_SET = frozenset(SPACES)
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}
_NUMBER = re.compile(r"([0-9]*)(?:\.([0-9]*))?")
_UNIT = re.compile(r"[^0-9.]*")
MAX_INT64 = (1 << 63) - 1


def is_space(char: str) -> bool:
    return char in _SPACE_SET


def trim(text: str) -> str:
    """``strings.TrimSpace``."""
    return text.strip(SPACES)


def quote(text: str) -> str:
    """``%q``: the way Go's messages show a string; bytes that aren't UTF-8 come as ``\\xff``."""
    out = []
    for char in text:
        code = ord(char)
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif 0xDC80 <= code <= 0xDCFF:  # surrogateescape
            out.append(f"\\x{code - 0xDC00:02x}")
        elif char == " " or char.isprintable():
            out.append(char)
        elif code < 0x80:
            out.append(f"\\x{code:02x}")
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


def quote_list(items: tuple[str, ...] | list[str]) -> str:
    """``%q`` of a list: ``["a" "b"]``."""
    return "[" + " ".join(quote(item) for item in items) + "]"


def duration_ns(text: str) -> int:
    """``time.ParseDuration``: ``1h30m``, ``1.5s``, ``0``. ``ValueError`` with Go's words."""
    bad = ValueError(f"time: invalid duration {quote(text)}")
    rest = text
    negative = rest.startswith("-")
    if rest[:1] in ("-", "+"):
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise bad
    total = 0
    while rest:
        number = _NUMBER.match(rest)
        assert number is not None
        whole, fraction = number[1], number[2] or ""
        if not whole and not fraction:
            raise bad
        rest = rest[number.end() :]
        unit_match = _UNIT.match(rest)
        assert unit_match is not None
        unit = unit_match[0]
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if unit not in DURATION_UNITS_NS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        rest = rest[len(unit) :]
        scale = DURATION_UNITS_NS[unit]
        # A fraction finer than nanoseconds says nothing: 20 digits are enough, and cheap.
        fraction = fraction[:20]
        if len(whole) > 20:
            raise bad
        total += int(whole or "0") * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        if total > MAX_INT64:
            raise bad
    return -total if negative else total


def parse_bool(text: str) -> bool | None:
    """``strconv.ParseBool``; ``None`` for anything else."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    return None


def csv_fields(text: str) -> list[str]:
    """One line of CSV, quotes as RFC 4180. ``ValueError`` with the words of Go's reader."""
    if not text:
        raise ValueError("EOF")
    fields: list[str] = []
    at = 0
    while True:
        if text[at : at + 1] == '"':
            value: list[str] = []
            at += 1
            while True:
                end = text.find('"', at)
                if end < 0:
                    raise ValueError(
                        f'parse error on line 1, column {len(text) + 1}: extraneous or missing "'
                        " in quoted-field"
                    )
                value.append(text[at:end])
                at = end + 1
                if text[at : at + 1] == '"':
                    value.append('"')
                    at += 1
                    continue
                break
            fields.append("".join(value))
            if at == len(text):
                return fields
            if text[at] != ",":
                raise ValueError(
                    f'parse error on line 1, column {at}: extraneous or missing " in quoted-field'
                )
            at += 1
            continue
        end = text.find(",", at)
        field = text[at:] if end < 0 else text[at:end]
        quote_at = field.find('"')
        if quote_at >= 0:
            raise ValueError(
                f'parse error on line 1, column {at + quote_at + 1}: bare " in non-quoted-field'
            )
        fields.append(field)
        if end < 0:
            return fields
        at = end + 1
