"""Go's number literals and float texts (``strconv``).

Python's ``int`` and ``float`` take nearly the same literals; what differs
(underscores, a leading 0 meaning octal, hex floats) is settled here.
"""

from __future__ import annotations

from pierhead.cli.gotemplate.quoting import SyntaxFault, quote, unquote_char

_BASES = {"x": 16, "o": 8, "b": 2}
_INT64 = 1 << 63
_UINT64 = 1 << 64


class Constant:
    """A literal under every type that can hold it (Go's ideal constants)."""

    __slots__ = ("as_complex", "as_float", "as_int", "as_uint")

    def __init__(
        self,
        as_int: int | None = None,
        as_uint: int | None = None,
        as_float: float | None = None,
        as_complex: complex | None = None,
    ) -> None:
        self.as_int = as_int
        self.as_uint = as_uint
        self.as_float = as_float
        self.as_complex = as_complex


def _parse_unsigned(text: str) -> int | None:
    """``strconv.ParseUint(text, 0, 64)``; None if it is no such number."""
    if not text or text[0] == "_" or text[-1] == "_" or "__" in text or not text.isascii():
        return None
    base, digits = 10, text
    if text[0] == "0" and len(text) > 1:
        known = _BASES.get(text[1].lower())
        base, digits = (known, text[2:]) if known else (8, text[1:])
        if digits.startswith("_"):  # allowed once, between the prefix and the digits
            digits = digits[1:]
        if not digits:
            return None
    if not digits[0].isalnum():
        return None
    try:
        value = int(digits, base)
    except ValueError:
        return None
    return value if value < _UINT64 else None


def _parse_signed(text: str) -> int | None:
    sign = text[:1]
    value = _parse_unsigned(text[1:] if sign in ("+", "-") else text)
    if value is None:
        return None
    value = -value if sign == "-" else value
    return value if -_INT64 <= value < _INT64 else None


def _parse_float(text: str) -> float | None:
    lowered = text.lower()
    body = lowered.lstrip("+-")
    if len(lowered) - len(body) > 1 or not body.isascii():
        return None
    if body.startswith("0x"):
        if "p" not in body or not _good_underscores(body[1:]):
            return None
        try:
            return float.fromhex(lowered.replace("_", ""))
        except (ValueError, OverflowError):
            return None
    if not body or body[0] not in "0123456789." or not _good_underscores(body):
        return None
    try:
        value = float(lowered.replace("_", ""))
    except ValueError:
        return None
    return None if value in (float("inf"), float("-inf")) else value


def _good_underscores(body: str) -> bool:
    """Every underscore stands between two digits (``x`` of a prefix counts as one)."""
    digits = "0123456789abcdefx"
    return all(
        0 < at < len(body) - 1 and body[at - 1] in digits and body[at + 1] in digits
        for at, char in enumerate(body)
        if char == "_"
    )


def _from_float(value: float) -> tuple[int | None, int | None]:
    if value != value or value in (float("inf"), float("-inf")) or value != int(value):
        return None, None
    whole = int(value)
    as_int = whole if -_INT64 <= whole < _INT64 else None
    return as_int, whole if 0 <= whole < _UINT64 else None


def parse_constant(text: str, kind: str) -> Constant:
    """The constant for a token of kind ``number``, ``complex`` or ``char``.

    Raises ValueError with Go's text.
    """
    if kind == "char":
        code, _, after = unquote_char(text, 1, "'")
        if text[after:] != "'":
            if after >= len(text):
                raise SyntaxFault
            raise ValueError(f"malformed character constant: {text}")
        return Constant(code, code, float(code))
    if kind == "complex":
        return _parse_complex(text)
    if text.endswith("i"):
        imaginary = _parse_float(text[:-1])
        if imaginary is not None:
            return _simplified(complex(0, imaginary))
    as_uint = _parse_unsigned(text)
    as_int = _parse_signed(text)
    if as_int == 0 and as_uint is None:  # -0
        as_uint = 0
    if as_int is not None:
        return Constant(as_int, as_uint, float(as_int))
    if as_uint is not None:
        return Constant(None, as_uint, float(as_uint))
    value = _parse_float(text)
    if value is None:
        raise ValueError(f"illegal number syntax: {quote(text)}")
    if not any(char in ".eEpP" for char in text):
        raise ValueError(f"integer overflow: {quote(text)}")
    as_int, as_uint = _from_float(value)
    return Constant(as_int, as_uint, value)


def _parse_complex(text: str) -> Constant:
    split = max(text.rfind("+"), text.rfind("-"))
    while split > 0 and text[split - 1] in "eEpP":
        split = max(text.rfind("+", 0, split), text.rfind("-", 0, split))
    real, imaginary = _parse_float(text[:split]), _parse_float(text[split:-1])
    if real is None or imaginary is None:
        raise SyntaxFault
    return _simplified(complex(real, imaginary))


def _simplified(value: complex) -> Constant:
    if value.imag != 0:
        return Constant(as_complex=value)
    as_int, as_uint = _from_float(value.real)
    return Constant(as_int, as_uint, value.real, value)


def float_text(value: float, verb: str = "g", precision: int = -1) -> str:
    """``strconv.FormatFloat``: ``precision`` -1 is the shortest that reads back."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    if verb in "xX":
        return _hex_text(value, verb, precision)
    if verb == "b":
        return _binary_text(value)
    if precision >= 0:
        return f"{value:.{precision}{verb}}"
    sign, digits, point = _shortest(value)
    exponent = point - 1
    if verb in "fF" or (verb in "gG" and -4 <= exponent < 6):
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}" if digits != "0" else sign + "0"
        if len(digits) <= point:
            return sign + digits + "0" * (point - len(digits))
        return f"{sign}{digits[:point]}.{digits[point:]}"
    letter = "E" if verb in "EG" else "e"
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}{letter}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _shortest(value: float) -> tuple[str, str, int]:
    """Sign, digits without trailing zeros, and where the point goes among them."""
    text = repr(value)
    sign = "-" if text[0] == "-" else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    if not digits:
        return sign, "0", 1
    return sign, digits.rstrip("0") or "0", len(whole) - leading + int(exponent or 0)


def _binary_text(value: float) -> str:
    mantissa, exponent = value.as_integer_ratio(), 0
    number, divisor = mantissa
    exponent -= divisor.bit_length() - 1
    while number and abs(number) < 1 << 52:
        number *= 2
        exponent -= 1
    while abs(number) >= 1 << 53:
        number //= 2
        exponent += 1
    if number == 0:
        exponent = -1074
    return f"{number}p{exponent:+d}"


def _hex_text(value: float, verb: str, precision: int) -> str:
    text = value.hex()
    sign = "-" if text[0] == "-" else ""
    head, _, power = text.lstrip("-")[2:].partition("p")
    whole, _, fraction = head.partition(".")
    exponent = int(power)
    if value == 0:
        whole, fraction, exponent = "0", "", 0
    elif whole == "0":  # a subnormal: Go normalises
        bits = int(fraction, 16)
        shift = 53 - bits.bit_length()
        fraction = f"{(bits << shift) & ((1 << 52) - 1):013x}"
        whole, exponent = "1", exponent - shift
    if precision >= 0 and len(fraction) > precision:
        number = int(whole + fraction, 16)
        drop = 4 * (len(fraction) - precision)
        kept, rest = number >> drop, number & ((1 << drop) - 1)
        half = 1 << (drop - 1)
        if rest > half or (rest == half and kept & 1):
            kept += 1
        digits = f"{kept:0{precision + 1}x}"
        whole, fraction = digits[: len(digits) - precision], digits[len(digits) - precision :]
        if whole == "2":
            whole, exponent = "1", exponent + 1
    elif precision >= 0:
        fraction = fraction.ljust(precision, "0")
    else:
        fraction = fraction.rstrip("0")
    mark = "-" if exponent < 0 else "+"
    out = f"{sign}0x{whole}{'.' + fraction if fraction else ''}p{mark}{abs(exponent):02d}"
    return out.upper() if verb == "X" else out
