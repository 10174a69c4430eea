"""How Go prints one value under one verb, with the flags in force.

Pointers below the top level print as an address in Go; there is none here, so
a fixed one stands in (no script can depend on it).
"""

from __future__ import annotations

from pierhead.cli.gotemplate.numbers import float_text
from pierhead.cli.gotemplate.quoting import can_backquote, quote, quote_rune
from pierhead.cli.gotemplate.values import (
    Duration,
    GoStruct,
    GoTime,
    Interface,
    NilPointer,
    is_unsigned,
    type_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.gotemplate.values import Value

_FLAGS = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus", " ": "space"}
_BASES = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_FLOAT_VERBS = {"v": ("g", -1), "F": ("f", 6), "f": ("f", 6), "e": ("e", 6), "E": ("E", 6)}
_ADDRESS = "0xc000012345"


class Formatter:
    """Collects output; one per call of Sprint or Sprintf."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self.clear_flags()

    def clear_flags(self) -> None:
        """Forget flags, width and precision of the directive before."""
        self.sharp = self.zero = self.plus = self.minus = self.space = False
        self.sharp_v = self.plus_v = False
        self.width: int | None = None
        self.precision: int | None = None

    def set_flag(self, char: str) -> None:
        setattr(self, _FLAGS[char], True)

    def set_width(self, width: int) -> None:
        """A width from an argument; a negative one means left-aligned."""
        if width < 0:
            self.minus, self.zero = True, False
        self.width = abs(width)

    def write(self, text: str) -> None:
        self._out.append(text)

    def text(self) -> str:
        return "".join(self._out)

    def pad(self, text: str) -> None:
        """Write ``text``, padded to the width in runes."""
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            self._out.append(text)
        elif self.minus:
            self._out.append(text + " " * missing)
        else:
            self._out.append(("0" if self.zero else " ") * missing + text)

    def _pad_with_spaces(self, text: str) -> None:
        zero, self.zero = self.zero, False
        self.pad(text)
        self.zero = zero

    # Values

    def print_argument(self, value: Value, verb: str) -> None:
        """One operand, as ``fmt`` does at the top level."""
        if verb == "T":
            self._string("<nil>" if value is None else type_name(value), "s")
            return
        if value is None:
            if verb == "v":
                self.pad("<nil>")
            else:
                self.write(f"%!{verb}(<nil>)")
            return
        if verb == "p" and not isinstance(value, (list, dict, GoStruct, NilPointer)):
            self._bad_verb(value, verb)
            return
        self._value(value, verb, 0)

    def _value(self, value: Value, verb: str, depth: int) -> None:
        if isinstance(value, Interface):
            value = value.held
        if value is None:  # a nil interface, whatever the verb
            self.write("interface {}(nil)" if self.sharp_v else "<nil>")
        elif isinstance(value, bool):
            if verb in "tv":
                self.pad("true" if value else "false")
            else:
                self._bad_verb(value, verb)
        elif isinstance(value, str):
            self._string(str(value), verb)
        elif isinstance(value, (Duration, GoTime)) and verb in "vsxXq" and not self.sharp_v:
            self._string(value.go_string(), verb)
        elif isinstance(value, int):
            self._integer(value, verb)
        elif isinstance(value, float):
            self._float(value, verb)
        elif isinstance(value, complex):
            self._complex(value, verb)
        elif isinstance(value, list):
            self._list(value, verb, depth)
        elif isinstance(value, dict):
            self._map(value, verb, depth)
        elif isinstance(value, GoStruct):
            self._struct(value, verb, depth)
        elif isinstance(value, NilPointer):
            self._pointer(f"(*{value.go_type})(nil)", "<nil>", "0x0", verb)
        else:
            self.write("&{}")

    def _bad_verb(self, value: Value, verb: str) -> None:
        self.write(f"%!{verb}({type_name(value)}=")
        self._value(value, "v", 0)
        self.write(")")

    def _pointer(self, sharp: str, plain: str, address: str, verb: str) -> None:
        if verb == "v":
            self.pad(sharp if self.sharp_v else plain)
        else:
            self.pad(address)

    def _string(self, text: str, verb: str) -> None:
        if verb in "xX":
            self._hex(text.encode("utf-8", "surrogateescape"), verb)
            return
        if verb not in "vsq" or verb == "":
            self._bad_verb(text, verb)
            return
        if self.precision is not None:
            text = text[: self.precision]
        if verb == "q" or (verb == "v" and self.sharp_v):
            if (self.sharp and can_backquote(text)) and verb == "q":
                text = f"`{text}`"
            else:
                text = quote(text, ascii_only=self.plus)
        self.pad(text)

    def _hex(self, data: bytes, verb: str) -> None:
        if self.precision is not None:
            data = data[: self.precision]
        digits = data.hex().upper() if verb == "X" else data.hex()
        pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
        prefix = "0" + verb if self.sharp and data else ""
        if self.space:
            self._hex_pad(" ".join([prefix + pair for pair in pairs]))
        else:
            self._hex_pad(prefix + "".join(pairs))

    def _hex_pad(self, text: str) -> None:
        self.pad(text)

    def _integer(self, value: int, verb: str) -> None:
        unsigned = is_unsigned(value)
        if verb == "c":
            good = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF
            self.pad(chr(value) if good else "\ufffd")
            return
        if verb == "q":
            self.pad(quote_rune(value & 0xFFFFFFFFFFFFFFFF, ascii_only=self.plus))
            return
        if verb == "U":
            self._unicode(value & 0xFFFFFFFFFFFFFFFF)
            return
        if verb not in _BASES:
            self._bad_verb(value, verb)
            return
        if verb == "v" and self.sharp_v and unsigned:
            verb = "x"
            sharp, self.sharp = self.sharp, True
            self._digits(value, verb)
            self.sharp = sharp
            return
        self._digits(value, verb)

    def _digits(self, value: int, verb: str) -> None:
        negative = value < 0
        precision = self.precision
        if precision == 0 and value == 0:
            self._out.append(" " * (self.width or 0))
            return
        if precision is None:
            precision = 0
            if self.zero and not self.minus and self.width is not None:
                precision = self.width - (negative or self.plus or self.space)
        digits = format(abs(int(value)), _BASES[verb]).rjust(precision, "0")
        if self.sharp:
            if verb == "b":
                digits = "0b" + digits
            elif verb in "oO":
                digits = digits if digits[0] == "0" else "0" + digits
            elif verb in "xX":
                digits = "0" + verb + digits
        if verb == "O":
            digits = "0o" + digits
        sign = "-" if negative else "+" if self.plus else " " if self.space else ""
        self._pad_with_spaces(sign + digits)

    def _unicode(self, value: int) -> None:
        text = "U+" + format(value, "X").rjust(max(self.precision or 0, 4), "0")
        if self.sharp and value <= 0x10FFFF and chr(value).isprintable():
            text += f" '{chr(value)}'"
        self._pad_with_spaces(text)

    def _float(self, value: float, verb: str) -> None:
        letter, precision = _FLOAT_VERBS.get(verb, (verb, -1))
        if letter not in tuple("gGfeEbxX"):
            self._bad_verb(value, verb)
            return
        if self.precision is not None:
            precision = self.precision
        text = float_text(value, letter, precision)
        sign = text[0] if text[0] in "+-" else "+"
        body = text[1:] if text[0] in "+-" else text
        if self.space and sign == "+" and not self.plus:
            sign = " "
        if body[0] in "IN":
            shown = sign if (self.plus or self.space or sign == "-" or body[0] == "I") else ""
            if body[0] == "I" and sign == "+" and not self.plus:
                shown = "+"
            self._pad_with_spaces(shown + body)
            return
        if self.sharp and letter != "b":
            body = self._sharp_float(body, letter, precision)
        if self.plus or sign != "+":
            missing = (self.width or 0) - len(body) - 1
            if self.zero and not self.minus and missing > 0:
                self._out.append(sign + "0" * missing + body)
                return
            self.pad(sign + body)
            return
        self.pad(body)

    def _sharp_float(self, body: str, letter: str, precision: int) -> str:
        """``%#g`` keeps the point and trailing zeros."""
        digits = 0
        if letter in "gGx":
            digits = 6 if precision == -1 else precision
        marks = "pP" if letter in "xX" else "eEpP"
        cut = next((at for at, char in enumerate(body) if char in marks), len(body))
        head, tail = body[:cut], body[cut:]
        seen = False
        for char in head:
            if char != ".":
                seen = seen or char != "0"
                digits -= seen
        if "." not in head:
            digits -= head == "0"
            head += "."
        return head + "0" * max(digits, 0) + tail

    def _complex(self, value: complex, verb: str) -> None:
        if verb not in tuple("vbgGxXfFeE"):
            self._bad_verb(value, verb)
            return
        plus = self.plus
        self.write("(")
        self._float(value.real, verb)
        self.plus = True
        self._float(value.imag, verb)
        self.write("i)")
        self.plus = plus

    def _list(self, value: list[Any], verb: str, depth: int) -> None:
        if verb == "p":
            self.pad(_ADDRESS)
            return
        if self.sharp_v:
            self.write(type_name(value))
            if getattr(value, "is_nil", False):
                self.write("(nil)")
                return
        between = ", " if self.sharp_v else " "
        self.write("{" if self.sharp_v else "[")
        for number, item in enumerate(value):
            if number:
                self.write(between)
            self._value(item, verb, depth + 1)
        self.write("}" if self.sharp_v else "]")

    def _map(self, value: dict[str, Any], verb: str, depth: int) -> None:
        if verb == "p":
            self.pad(_ADDRESS)
            return
        if self.sharp_v:
            self.write(type_name(value))
            if getattr(value, "is_nil", False):
                self.write("(nil)")
                return
        between = ", " if self.sharp_v else " "
        self.write("{" if self.sharp_v else "map[")
        for number, key in enumerate(sorted(value)):
            if number:
                self.write(between)
            self._value(key, verb, depth + 1)
            self.write(":")
            self._value(value[key], verb, depth + 1)
        self.write("}" if self.sharp_v else "]")

    def _struct(self, value: GoStruct, verb: str, depth: int) -> None:
        if verb == "p" or (value.pointer and depth > 0):
            self._pointer(f"(*{value.go_type})({_ADDRESS})", _ADDRESS, _ADDRESS, verb)
            return
        if value.pointer:
            self.write("&")
        if self.sharp_v:
            self.write(value.go_type)
        between = ", " if self.sharp_v else " "
        self.write("{")
        for number, (name, item) in enumerate(value.fields.items()):
            if number:
                self.write(between)
            if self.plus_v or self.sharp_v:
                self.write(name + ":")
            self._value(item, verb, depth + 1)
        self.write("}")
