"""Go's ``strconv.Quote`` and ``Unquote``: string literals in and out.

Strings are Python ``str`` of code points. Bytes that are not UTF-8 arrive from
``os`` as lone surrogates (``surrogateescape``) and are quoted as ``\\xNN``, as Go does.
"""

from __future__ import annotations

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}
_UNESCAPES = {
    "a": 7,
    "b": 8,
    "f": 12,
    "n": 10,
    "r": 13,
    "t": 9,
    "v": 11,
    "\\": 92,
    "'": 39,
    '"': 34,
}
_HEX = "0123456789abcdefABCDEF"
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}


class SyntaxFault(ValueError):
    """A malformed literal; Go says only ``invalid syntax``."""

    def __init__(self) -> None:
        super().__init__("invalid syntax")


def _quote_rune(char: str, quote: str, ascii_only: bool) -> str:
    if char == quote:
        return "\\" + char
    known = _ESCAPES.get(char)
    if known is not None:
        return known
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable() and (code < 128 or not ascii_only):
        return char
    if code < 32 or code == 127:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote(text: str, *, ascii_only: bool = False) -> str:
    """The Go literal in double quotes for ``text`` (``strconv.Quote``)."""
    if not ascii_only and text.isascii() and text.isprintable():
        if "\\" not in text and '"' not in text:
            return f'"{text}"'
    return '"' + "".join([_quote_rune(char, '"', ascii_only) for char in text]) + '"'


def quote_rune(code: int, *, ascii_only: bool = False) -> str:
    """The Go literal in single quotes for a code point (``strconv.QuoteRune``)."""
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF or code < 0:
        code = 0xFFFD
    return "'" + _quote_rune(chr(code), "'", ascii_only) + "'"


def can_backquote(text: str) -> bool:
    """True if ``text`` can be a raw string literal (``strconv.CanBackquote``)."""
    for char in text:
        code = ord(char)
        if code == 0xFEFF or 0xDC80 <= code <= 0xDCFF:
            return False
        if (code < 32 and char != "\t") or char == "`" or code == 127:
            return False
    return True


def unquote_char(text: str, start: int, quote_mark: str) -> tuple[int, bool, int]:
    """Read one character of a literal (``strconv.UnquoteChar``).

    Returns the code point or byte, whether it is a byte (``\\x``, octal), and
    where the next one begins. Raises :class:`SyntaxFault`.
    """
    if start >= len(text):
        raise SyntaxFault
    char = text[start]
    if char == quote_mark and quote_mark in "'\"":
        raise SyntaxFault
    if char != "\\":
        return ord(char), False, start + 1
    if start + 1 >= len(text):
        raise SyntaxFault
    kind = text[start + 1]
    position = start + 2
    if kind in _HEX_DIGITS:
        digits = text[position : position + _HEX_DIGITS[kind]]
        if len(digits) != _HEX_DIGITS[kind] or any(digit not in _HEX for digit in digits):
            raise SyntaxFault
        code = int(digits, 16)
        if kind != "x" and (code > 0x10FFFF or 0xD800 <= code <= 0xDFFF):
            raise SyntaxFault
        return code, kind == "x", position + len(digits)
    if kind in "01234567":
        digits = text[start + 1 : start + 4]
        if len(digits) != 3 or any(digit not in "01234567" for digit in digits):
            raise SyntaxFault
        code = int(digits, 8)
        if code > 255:
            raise SyntaxFault
        return code, True, start + 4
    if kind in "'\"" and kind != quote_mark:
        raise SyntaxFault
    if kind not in _UNESCAPES:
        raise SyntaxFault
    return _UNESCAPES[kind], False, position


def unquote(literal: str) -> str:
    """The string that a Go literal (``"..."`` or `` `...` ``) stands for.

    Raises :class:`SyntaxFault`.
    """
    if len(literal) < 2 or literal[0] != literal[-1]:
        raise SyntaxFault
    mark = literal[0]
    body = literal[1:-1]
    if mark == "`":
        if "`" in body:
            raise SyntaxFault
        return body.replace("\r", "")
    if mark != '"' or "\n" in body:
        raise SyntaxFault
    if "\\" not in body and '"' not in body:
        return body
    out = bytearray()
    position = 0
    while position < len(body):
        code, is_byte, position = unquote_char(body, position, mark)
        if is_byte:
            out.append(code)
        else:
            out += chr(code).encode("utf-8", "surrogateescape")
    return out.decode("utf-8", "surrogateescape")
