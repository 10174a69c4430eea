"""JSON as Go's ``encoding/json`` writes it: key order, escapes, floats, indentation.

``indent`` and ``compact`` work on the text and keep every token as it came, so
that ``inspect`` shows the daemon's own numbers and escapes.
"""

from __future__ import annotations

from pierhead.cli.gotemplate.errors import FunctionError
from pierhead.cli.gotemplate.numbers import float_text
from pierhead.cli.gotemplate.values import (
    Duration,
    GoStruct,
    GoTime,
    Interface,
    NilPointer,
    Number,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.gotemplate.values import Value

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def encode_string(text: str, *, html: bool = True) -> str:
    """A JSON string literal; ``html`` also escapes ``<``, ``>`` and ``&``."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        if not html or not ("<" in text or ">" in text or "&" in text):
            return f'"{text}"'
    out = ['"']
    for char in text:
        known = _ESCAPES.get(char) or (_HTML.get(char) if html else None)
        if known is not None:
            out.append(known)
        elif char < " ":
            out.append(f"\\u{ord(char):04x}")
        elif "\ud800" <= char <= "\udfff":
            out.append("\\ufffd")
        else:
            out.append(char)
    out.append('"')
    return "".join(out)


def encode(value: Value, *, html: bool = True) -> str:
    """Compact JSON of a Go value: maps sorted by key, structs in their order."""
    out: list[str] = []
    _encode(value, html, out)
    return "".join(out)


def _encode(value: Value, html: bool, out: list[str]) -> None:
    if isinstance(value, Interface):
        value = value.held
    if value is None or isinstance(value, NilPointer) or getattr(value, "is_nil", False):
        out.append("null")
    elif isinstance(value, Number):
        out.append(str(value) or "0")
    elif isinstance(value, str):
        out.append(encode_string(value, html=html))
    elif isinstance(value, bool):
        out.append("true" if value else "false")
    elif isinstance(value, (int, Duration)):
        out.append(str(int(value)))
    elif isinstance(value, complex):
        raise FunctionError("json: unsupported type: complex128")
    elif isinstance(value, float):
        out.append(_float(value))
    elif isinstance(value, GoStruct):
        out.append("{")
        _fields(value, html, out, True)
        out.append("}")
    elif isinstance(value, GoTime):
        out.append(encode_string(value.text, html=html))
    elif hasattr(value, "go_json"):
        # Its MarshalJSON is json.Marshal, which always escapes for HTML.
        _encode(value.go_json(), True, out)
    elif isinstance(value, dict):
        out.append("{")
        for number, key in enumerate(sorted(value)):
            if number:
                out.append(",")
            out.append(encode_string(key, html=html) + ":")
            _encode(value[key], html, out)
        out.append("}")
    else:
        out.append("[")
        for number, item in enumerate(value):
            if number:
                out.append(",")
            _encode(item, html, out)
        out.append("]")


def _fields(value: GoStruct, html: bool, out: list[str], first: bool) -> bool:
    for name, item in value.fields.items():
        if name in value.inline and isinstance(item, GoStruct):
            first = _fields(item, html, out, first)
            continue
        json_name = value.names.get(name, name)
        if json_name == "-" or (name in value.omit and _is_empty(item)):
            continue
        if not first:
            out.append(",")
        first = False
        out.append(encode_string(json_name, html=html) + ":")
        _encode(item, html, out)
    return first


def _is_empty(value: Value) -> bool:
    """Go's ``omitempty``: zero numbers, empty strings and containers, nil; not structs."""
    if isinstance(value, Interface):
        return value.held is None
    if value is None or isinstance(value, NilPointer):
        return True
    if isinstance(value, (bool, int, float, str, list, dict)):
        return not value
    return False


def _float(value: float) -> str:
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21):
        text = float_text(value, "e", -1)
        # Go writes e-9, not e-09.
        if text[-4:-2] == "e-" and text[-2] == "0":
            text = text[:-2] + text[-1]
        return text
    return float_text(value, "f", -1)


def _tokens(text: str) -> list[str]:
    """Strings, numbers, literals and single punctuation marks, white space dropped."""
    out: list[str] = []
    at, length = 0, len(text)
    while at < length:
        char = text[at]
        if char in " \t\r\n":
            at += 1
        elif char == '"':
            end = text.find('"', at + 1)
            while end > 0:
                back = end - 1
                while text[back] == "\\":
                    back -= 1
                if (end - back) % 2:
                    break
                end = text.find('"', end + 1)
            end = length if end < 0 else end + 1
            out.append(text[at:end])
            at = end
        elif char in "{}[],:":
            out.append(char)
            at += 1
        else:
            end = at
            while end < length and text[end] not in "{}[],: \t\r\n":
                end += 1
            out.append(text[at:end])
            at = end
    return out


def compact(text: str) -> str:
    """``json.Compact``: white space outside strings removed."""
    return "".join(_tokens(text))


def indent(text: str, unit: str = "    ") -> str:
    """``json.Indent`` with no prefix; ``{}`` and ``[]`` stay on one line."""
    out: list[str] = []
    depth = 0
    opened = False  # the bracket before has nothing in it yet
    for token in _tokens(text):
        if opened and token not in ("}", "]"):
            depth += 1
            out.append("\n" + unit * depth)
        if token in ("{", "["):
            out.append(token)
            opened = True
            continue
        if token in ("}", "]"):
            if not opened:
                depth -= 1
                out.append("\n" + unit * depth)
            out.append(token)
        elif token == ",":
            out.append(",\n" + unit * depth)
        elif token == ":":
            out.append(": ")
        else:
            out.append(token)
        opened = False
    return "".join(out)
