"""The functions that docker adds to Go's: json, split, join, title, lower, upper, pad, truncate.

``HEADER_FUNCTIONS`` are the same for the header line of a table, where they must
leave the column's title as it is (but not ``pad``, which aligns).
"""

from __future__ import annotations

from pierhead.cli.gotemplate.errors import FunctionError
from pierhead.cli.gotemplate.functions import Function
from pierhead.cli.gotemplate.printing import display
from pierhead.cli.gotemplate.values import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.gotemplate.values import Value


def _json(value: Value) -> str:
    from pierhead.cli.gotemplate.json_text import encode

    return encode(value, html=False)


def _split(text: str, separator: str) -> Value:
    from pierhead.cli.gotemplate.values import GoList

    return GoList(text.split(separator) if separator else list(text), "[]string")


def _join(items: Value, separator: str) -> str:
    if items is None:
        return ""
    if isinstance(items, list):
        return separator.join([display(item) for item in items])
    if isinstance(items, dict):
        return separator.join(sorted([display(item) for item in items.values()]))
    raise FunctionError(f"expected slice, got {type_name(items)}")


def _title(text: str) -> str:
    out = []
    previous = " "
    for char in text:
        out.append(char if _in_word(previous) else _title_case(char))
        previous = char
    return "".join(out)


def _title_case(char: str) -> str:
    upper = char.title()
    return upper if len(upper) == 1 else char


def _in_word(char: str) -> bool:
    """Go's ``strings.Title`` begins a word after these only (isSeparator)."""
    if char.isascii():
        return char.isalnum() or char == "_"
    return char.isalpha() or char.isdecimal() or not char.isspace()


def _each(text: str, change: str) -> str:
    """Case by single code points, as Go maps them (``ß`` stays)."""
    if text.isascii():
        return text.upper() if change == "upper" else text.lower()
    out = []
    for char in text:
        mapped = char.upper() if change == "upper" else char.lower()
        out.append(mapped if len(mapped) == 1 else char)
    return "".join(out)


def _pad(text: str, before: int, after: int) -> str:
    if not text:
        return text
    if before < 0 or after < 0:
        raise FunctionError("strings: negative Repeat count")
    return " " * before + text + " " * after


def _truncate(text: str, length: int) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if len(data) < length:
        return text
    if length < 0:
        raise FunctionError(f"runtime error: slice bounds out of range [:{length}]")
    return data[:length].decode("utf-8", "surrogateescape")


FUNCTIONS: dict[str, Function] = {
    "join": Function(_join, ("any", "string")),
    "json": Function(_json, ("any",)),
    "lower": Function(lambda text: _each(text, "lower"), ("string",)),
    "pad": Function(_pad, ("string", "int", "int")),
    "split": Function(_split, ("string", "string")),
    "title": Function(_title, ("string",)),
    "truncate": Function(_truncate, ("string", "int")),
    "upper": Function(lambda text: _each(text, "upper"), ("string",)),
}

HEADER_FUNCTIONS: dict[str, Function] = {
    **FUNCTIONS,
    "join": Function(lambda title, _: title, ("string", "string")),
    "json": Function(lambda title: title, ("string",)),
    "lower": Function(lambda title: title, ("string",)),
    "split": Function(lambda title, _: title, ("string", "string")),
    "title": Function(lambda title: title, ("string",)),
    "truncate": Function(lambda title, _: title, ("string", "int")),
    "upper": Function(lambda title: title, ("string",)),
}
