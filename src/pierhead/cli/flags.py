"""Command-line flags: declared as tuples, parsed by pflag's rules, no imports.

A flag is a tuple ``(name, shorthand, kind, default, usage)`` with an optional sixth
item, a function that checks or converts each given value (``str -> Any``; it raises
``ValueError`` with the text that follows ``invalid argument "x" for "--name" flag:``), or
the name of one as ``module:function`` below ``pierhead.cli``, imported on use.
An empty ``usage`` hides the flag from the help text.

Kinds are pflag's type names, since they are what ``--help`` shows:

========================================= ============================================
``bool``                                   no value needed; ``--x=false`` works
``string``                                 as given, the last one wins
``int`` ``int64`` ``uint`` ``uint16``...   Go's integer literals, range checked
``float`` ``decimal``                      ``decimal`` gives billionths as ``int``
``bytes``                                  ``64m`` and so on, gives ``int`` bytes
``duration``                               Go's durations, gives ``int`` nanoseconds
``list`` ``filter``                        one value for each occurrence
``stringSlice`` ``ipSlice`` ``ipNetSlice`` occurrences split at commas (CSV rules)
``map`` ``stringToString``                 ``key=value`` occurrences, gives ``dict``
``ip``                                     checked, as given
``alias``                                  another name of an earlier flag, the "default"
other (``mount``, ``ulimit``, ...)         as ``list``; the sixth item converts
========================================= ============================================
"""

from __future__ import annotations

from pierhead.cli.errors import ArgumentCountError, FlagError, HelpWanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pierhead.cli.main import Cli

    Flag = tuple[Any, ...]
    Run = Callable[["Cli", "Options", list[str]], int | None]

#: Kinds that collect every occurrence.
_SLICES = ("stringSlice", "ipSlice", "ipNetSlice")
_SCALARS = ("bool", "string", "float", "decimal", "bytes", "duration", "ip")
_INTS = {
    "int": (64, True),
    "int64": (64, True),
    "int32": (32, True),
    "uint": (64, False),
    "uint16": (16, False),
    "uint32": (32, False),
    "uint64": (64, False),
}
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class Command:
    """One command: how it is called, its flags, and what it runs.

    ``usage`` is what follows the command path in the usage line; a command with several
    forms separates them by newlines. ``args`` is (fewest, most) positional arguments,
    ``None`` for no bound. ``interspersed=False`` stops flag parsing at the first
    positional argument, as ``run`` and ``exec`` need.
    ``run(cli, options, args)`` returns the exit code, ``None`` meaning 0.
    """

    __slots__ = ("args", "flags", "interspersed", "long", "run", "usage")

    def __init__(
        self,
        usage: str,
        run: Run,
        flags: Sequence[Flag] = (),
        *,
        args: tuple[int, int | None] = (0, None),
        interspersed: bool = True,
        long: str = "",
    ) -> None:
        self.usage = usage
        self.run = run
        self.flags = flags
        self.args = args
        self.interspersed = interspersed
        self.long = long


class Options:
    """The parsed values by flag name, with typed access for the callers' sake."""

    __slots__ = ("changed_names", "values")

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.changed_names: dict[str, None] = {}

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def changed(self, name: str) -> bool:
        """Whether the flag was on the command line."""
        return name in self.changed_names

    def flag(self, name: str) -> bool:
        """A ``bool`` flag."""
        return bool(self.values[name])

    def string(self, name: str) -> str:
        """A ``string`` flag, or another single value as text."""
        return str(self.values[name])

    def integer(self, name: str) -> int:
        """A whole number: ``int`` kinds, ``bytes``, ``duration`` (ns), ``decimal`` (1e-9)."""
        return int(self.values[name])

    def strings(self, name: str) -> list[str]:
        """A ``list``, ``filter`` or slice flag."""
        value: list[str] = self.values[name]
        return value

    def items(self, name: str) -> list[Any]:
        """A repeated flag whose values were converted."""
        value: list[Any] = self.values[name]
        return value

    def mapping(self, name: str) -> dict[str, str]:
        """A ``map`` flag."""
        value: dict[str, str] = self.values[name]
        return value


def parse(
    flags: Sequence[Flag], argv: Sequence[str], *, interspersed: bool = True
) -> tuple[Options, list[str]]:
    """Parse ``argv`` (without the command's own words) into options and arguments.

    Raises ``FlagError`` with pflag's texts and ``HelpWanted`` for ``--help`` (and ``-h``
    where the command has no ``-h`` of its own).
    """
    by_name: dict[str, Flag] = {}
    by_short: dict[str, Flag] = {}
    values: dict[str, Any] = {}
    for flag in flags:
        name, short, kind = flag[0], flag[1], flag[2]
        if kind == "alias":
            by_name[name] = by_name[flag[3]]
            continue
        by_name[name] = flag
        if short:
            by_short[short] = flag
        default = flag[3]
        if default is None:
            default = _zero(kind)
        values[name] = default
    options = Options(values)
    rest: list[str] = []
    index, count = 0, len(argv)
    while index < count:
        word = argv[index]
        index += 1
        if len(word) < 2 or word[0] != "-":
            rest.append(word)
            if not interspersed:
                rest.extend(argv[index:])
                break
        elif word == "--":
            rest.extend(argv[index:])
            break
        elif word[1] == "-":
            name, equals, value = word[2:].partition("=")
            if not name or name[0] == "-":
                raise FlagError(f"bad flag syntax: {word}")
            found = by_name.get(name)
            if found is None:
                if name == "help":
                    _help(value if equals else "true")
                    continue
                raise FlagError(f"unknown flag: --{name}")
            if not equals:
                if found[2] == "bool":
                    value = "true"
                elif index < count:
                    value = argv[index]
                    index += 1
                else:
                    raise FlagError(f"flag needs an argument: --{name}")
            _set(options, found, value)
        else:
            letters = word[1:]
            while letters:
                letter = letters[0]
                found = by_short.get(letter)
                if found is None:
                    if letter == "h":
                        raise HelpWanted("Flag shorthand -h has been deprecated, use --help")
                    raise FlagError(f"unknown shorthand flag: {letter!r} in -{letters}")
                if len(letters) > 2 and letters[1] == "=":
                    value, left = letters[2:], ""
                elif found[2] == "bool":
                    value, left = "true", letters[1:]
                elif len(letters) > 1:
                    value, left = letters[1:], ""
                elif index < count:
                    value, left = argv[index], ""
                    index += 1
                else:
                    raise FlagError(f"flag needs an argument: {letter!r} in -{letters}")
                _set(options, found, value)
                letters = left
    if values.get("help") is True:
        raise HelpWanted
    return options, rest


def _help(value: str) -> None:
    try:
        if parse_bool(value):
            raise HelpWanted
    except ValueError as error:
        raise FlagError(f'invalid argument {go_quote(value)} for "--help" flag: {error}') from None


def check_count(path: str, args: Sequence[str], bounds: tuple[int, int | None]) -> None:
    """Raise ``ArgumentCountError`` in the docker CLI's words unless the count fits."""
    least, most = bounds
    given = len(args)
    if given >= least and (most is None or given <= most):
        return
    if most == 0:
        raise ArgumentCountError(f"'{path}' accepts no arguments")
    if least == most:
        raise ArgumentCountError(f"'{path}' requires {least} {_arguments(least)}")
    if most is None:
        raise ArgumentCountError(
            f"'{path}' requires at least {least} {_arguments(least)}", see=True
        )
    if least == 0:
        raise ArgumentCountError(f"'{path}' requires at most {most} {_arguments(most)}")
    raise ArgumentCountError(
        f"'{path}' requires at least {least} and at most {most} {_arguments(most)}"
    )


def _arguments(count: int) -> str:
    return "argument" if count == 1 else "arguments"


def _zero(kind: str) -> Any:
    if kind == "bool":
        return False
    if kind in ("string", "ip"):
        return ""
    if kind in _INTS or kind in ("bytes", "duration", "decimal", "float"):
        return 0
    if kind in ("map", "stringToString"):
        return {}
    return []


def display_name(flag: Flag) -> str:
    """How errors name a flag: ``-m, --memory`` or ``--cpus``."""
    return f"-{flag[1]}, --{flag[0]}" if flag[1] else f"--{flag[0]}"


def _set(options: Options, flag: Flag, text: str) -> None:
    name, kind = flag[0], flag[2]
    values = options.values
    try:
        value: Any = text
        if kind in _INTS:
            value = parse_int(text, *_INTS[kind])
        elif kind == "bool":
            value = parse_bool(text)
        elif kind == "bytes":
            value = parse_bytes(text)
        elif kind == "duration":
            value = parse_duration(text)
        elif kind == "decimal":
            value = parse_decimal(text)
        elif kind == "float":
            value = float(text)
        elif kind == "ip":
            value = parse_ip(text)
        elif kind in _SLICES:
            value = parse_slice(text, kind)
        if len(flag) > 5:
            convert = flag[5]
            if isinstance(convert, str):
                convert = _load_converter(convert)
            value = convert(value)
    except ValueError as error:
        raise FlagError(
            f'invalid argument {go_quote(text)} for "{display_name(flag)}" flag: {error}'
        ) from None
    if kind in _SCALARS or kind in _INTS:
        values[name] = value
    else:
        changed = name in options.changed_names
        if kind in ("map", "stringToString"):
            key, _, item = text.partition("=")
            values[name] = {**(values[name] if changed else {}), key: item}
        elif kind in _SLICES:
            values[name] = [*(values[name] if changed else ()), *value]
        else:
            # The first occurrence replaces the default; the default itself is never changed.
            values[name] = [*(values[name] if changed else ()), value]
    options.changed_names[name] = None


def _load_converter(name: str) -> Callable[[str], Any]:
    import sys

    module_name, _, attribute = name.partition(":")
    module_name = "pierhead.cli." + module_name
    __import__(module_name)
    function: Callable[[str], Any] = getattr(sys.modules[module_name], attribute)
    return function


_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def go_quote(text: str) -> str:
    """``text`` as Go's ``%q`` prints it."""
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char.isprintable():
            out.append(char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        else:
            code = ord(char)
            if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
                out.append(f"\\x{code - 0xDC00:02x}")
            elif code < 0x80:
                out.append(f"\\x{code:02x}")
            else:
                out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    out.append('"')
    return "".join(out)


def parse_bool(text: str) -> bool:
    """Go's ``strconv.ParseBool``."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {go_quote(text)}: invalid syntax")


def parse_int(text: str, bits: int = 64, signed: bool = True) -> int:
    """Go's ``strconv.ParseInt(text, 0, bits)`` or ``ParseUint``."""
    function = "ParseInt" if signed else "ParseUint"
    digits = text
    sign = 1
    if signed and digits[:1] in ("-", "+"):
        sign = -1 if digits[0] == "-" else 1
        digits = digits[1:]
    base = 10
    if digits[:2].lower() in ("0x", "0o", "0b"):
        base = {"x": 16, "o": 8, "b": 2}[digits[1].lower()]
        digits = digits[2:]
    elif len(digits) > 1 and digits[0] == "0":
        base, digits = 8, digits[1:]
    try:
        if not digits.isascii() or not digits.replace("_", "").isalnum():
            raise ValueError
        value = sign * int(digits, base)
    except ValueError:
        raise ValueError(f"strconv.{function}: parsing {go_quote(text)}: invalid syntax") from None
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if not low <= value <= high:
        raise ValueError(f"strconv.{function}: parsing {go_quote(text)}: value out of range")
    return value


def parse_bytes(text: str) -> int:
    """Sizes as go-units ``RAMInBytes`` reads them: ``10``, ``64m``, ``1.5GiB``; ``-1`` passes."""
    if text == "-1":
        return -1
    number = text
    unit = ""
    end = 0
    while end < len(number) and (number[end].isdigit() or number[end] in "."):
        end += 1
    number, unit = text[:end], text[end:].strip().lower()
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"invalid size: '{text}'") from None
    if unit in ("", "b"):
        factor = 1
    elif unit[0] in "kmgtp" and unit[1:] in ("", "b", "i", "ib"):
        factor = 1 << 10 * ("kmgtp".index(unit[0]) + 1)
    else:
        raise ValueError(f"invalid suffix: '{unit}'" if end else f"invalid size: '{text}'")
    return int(value * factor)


_DURATION_UNITS = {
    "ns": 1,
    "us": 1000,
    "\u00b5s": 1000,
    "\u03bcs": 1000,
    "ms": 1000000,
    "s": 1000000000,
    "m": 60000000000,
    "h": 3600000000000,
}


def parse_duration(text: str) -> int:
    """Go's ``time.ParseDuration`` in nanoseconds."""
    rest = text
    sign = 1
    if rest[:1] in ("-", "+"):
        sign = -1 if rest[0] == "-" else 1
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {go_quote(text)}")
    total = 0
    while rest:
        end = 0
        while end < len(rest) and (rest[end].isdigit() or rest[end] == "."):
            end += 1
        number, rest = rest[:end], rest[end:]
        if not number or number == "." or number.count(".") > 1:
            raise ValueError(f"time: invalid duration {go_quote(text)}")
        end = 0
        while end < len(rest) and not rest[end].isdigit() and rest[end] != ".":
            end += 1
        unit, rest = rest[:end], rest[end:]
        if not unit:
            raise ValueError(f"time: missing unit in duration {go_quote(text)}")
        if unit not in _DURATION_UNITS:
            raise ValueError(f"time: unknown unit {go_quote(unit)} in duration {go_quote(text)}")
        whole, _, fraction = number.partition(".")
        scale = _DURATION_UNITS[unit]
        total += int(whole or "0") * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
    return sign * total


def parse_decimal(text: str) -> int:
    """``--cpus``: a decimal number or fraction as billionths, exactly."""
    numerator, slash, denominator = text.partition("/")
    try:
        whole, _, fraction = numerator.partition(".")
        sign = -1 if whole.startswith("-") else 1
        scaled = int((whole.lstrip("+-") or "0") + fraction) * sign
        top = scaled * 1000000000
        bottom: int = 10 ** len(fraction)
        if slash:
            bottom *= int(denominator)
        if bottom == 0 or not (whole.lstrip("+-") or fraction):
            raise ValueError
    except ValueError:
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if top % bottom:
        raise ValueError("value is too precise")
    return top // bottom


def parse_ip(text: str) -> str:
    """An IPv4 or IPv6 address, given back as typed."""
    if not is_ip(text.strip()):
        raise ValueError(f"failed to parse IP: {go_quote(text)}")
    return text.strip()


def parse_slice(text: str, kind: str) -> list[str]:
    """The parts of a slice value, checked if they are addresses (``ipSlice``) or networks."""
    parts = split_csv(text)
    for part in parts:
        if kind == "ipSlice" and not is_ip(part.strip()):
            raise ValueError(f"invalid string being converted to IP address: {part}")
        if kind == "ipNetSlice":
            address, slash, bits = part.strip().partition("/")
            if not (slash and is_ip(address) and bits.isdigit()):
                raise ValueError(f"invalid string being converted to CIDR: {part}")
    return parts


def is_ip(text: str) -> bool:
    """Whether ``text`` is an IP address literal."""
    import _socket

    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in text else _socket.AF_INET, text)
    except (OSError, UnicodeEncodeError, ValueError):
        return False
    return True


def split_csv(text: str) -> list[str]:
    """One CSV record by Go's rules (quotes double to stay).

    Raises ``ValueError`` with encoding/csv's text for a stray quote.
    """
    if '"' not in text:
        return text.split(",") if text else []
    fields: list[str] = []
    index, count = 0, len(text)
    while True:
        if index < count and text[index] == '"':
            part = ""
            index += 1
            while True:
                end = text.find('"', index)
                if end < 0:
                    raise ValueError(
                        f"parse error on line 1, column {count + 1}: "
                        'extraneous or missing " in quoted-field'
                    )
                part += text[index:end]
                index = end + 1
                if index < count and text[index] == '"':
                    part += '"'
                    index += 1
                    continue
                break
            if index < count and text[index] != ",":
                raise ValueError(
                    f"parse error on line 1, column {index + 1}: "
                    'extraneous or missing " in quoted-field'
                )
            fields.append(part)
        else:
            end = text.find(",", index)
            end = count if end < 0 else end
            part = text[index:end]
            quote = part.find('"')
            if quote >= 0:
                raise ValueError(
                    f'parse error on line 1, column {index + quote + 1}: bare " in non-quoted-field'
                )
            fields.append(part)
            index = end
        if index >= count:
            return fields
        index += 1
