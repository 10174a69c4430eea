"""How Go values look in Python, for the evaluator and for ``fmt``.

===================  =========================================================
Python               Go
===================  =========================================================
``None``             the invalid value: nothing there, printed ``<no value>``
``Interface(x)``     an ``interface {}`` that holds x (``x`` None: nil interface)
``bool``             ``bool``
``int``              ``int``; :class:`GoInt` for a named width (``uint16``)
``float``            ``float64``
``str``              ``string``; :class:`Number` for ``json.Number``
``list``             ``[]interface {}``; :class:`GoList` for ``[]string`` etc.
``dict``             ``map[string]interface {}``; :class:`GoMap` for others
:class:`GoStruct`    a struct with named fields, or a pointer to one
:class:`NilPointer`  a nil ``*T``
others               an object with Go methods: ``GO_TYPE`` is its type's name,
                     ``go_method(name)`` finds a method, ``METHOD_ARGUMENTS`` has
                     the parameter types of those that take any, ``go_json()`` is
                     what ``json`` prints; see ``format.listing.Row``
===================  =========================================================

Only containers of ``interface {}`` hand out ``Interface`` wrappers: Go's error
texts name the static type, so where a value came from shows.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, ClassVar

    Value = Any


class Interface:
    """A value seen through ``interface {}``; ``held`` None is the nil interface."""

    __slots__ = ("held",)

    def __init__(self, held: Value) -> None:
        self.held = held


class GoInt(int):
    """An integer of a named Go type, e.g. ``GoInt(5, "int64")``."""

    go_type: str

    def __new__(cls, value: int, go_type: str) -> GoInt:
        made = super().__new__(cls, value)
        made.go_type = go_type
        return made


class Duration(GoInt):
    """``time.Duration`` in nanoseconds: prints as ``1m30s``, is a number in JSON."""

    def __new__(cls, value: int, go_type: str = "time.Duration") -> Duration:
        made = int.__new__(cls, value)
        made.go_type = go_type
        return made

    def go_string(self) -> str:
        return duration_text(int(self))


class GoTime:
    """``time.Time``, kept as the RFC 3339 text it came as."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def go_string(self) -> str:
        """``2006-01-02 15:04:05.999 +0000 UTC``."""
        from pierhead.cli.format.clock import go_time_string, parse_rfc3339

        try:
            seconds, nanoseconds = parse_rfc3339(self.text)
        except ValueError:
            return self.text
        return go_time_string(seconds, nanoseconds, utc=self.text.endswith("Z"))


class Number(str):
    """``json.Number``: a number that kept its text (a string kind in Go)."""

    __slots__ = ()


class Port(str):
    """``nat.Port`` (``80/tcp``): a string to look at, its own type for functions."""

    __slots__ = ()
    METHOD_ARGUMENTS: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def go_method(self, name: str) -> Callable[[], Value] | None:
        """``Port``, ``Proto`` and ``Int``."""
        number, _, protocol = self.partition("/")
        answers = {
            "Int": int(number) if number.isdigit() else 0,
            "Port": number,
            "Proto": protocol or "tcp",
        }
        return (lambda: answers[name]) if name in answers else None


class GoList(list["Any"]):
    """A slice with a static type such as ``[]string``; ``is_nil`` prints as null in JSON."""

    def __init__(self, items: Iterable[Value] = (), go_type: str = "[]string") -> None:
        super().__init__(items)
        self.go_type = go_type
        self.is_nil = False


class GoMap(dict[str, "Any"]):
    """A map with a static type; ``zero`` is what a missing key indexes to."""

    def __init__(
        self,
        items: Mapping[str, Value] | Iterable[tuple[str, Value]] = (),
        go_type: str = "map[string]string",
        zero: Value = "",
    ) -> None:
        super().__init__(items)
        self.go_type = go_type
        self.zero = zero
        self.is_nil = False


class GoStruct:
    """A struct: ordered fields under their Go names.

    ``names`` maps Go names to JSON names where they differ; ``omit`` holds the
    fields that JSON leaves out when empty; ``inline`` those that are embedded.
    """

    __slots__ = ("fields", "go_type", "inline", "names", "omit", "pointer")

    def __init__(
        self,
        go_type: str,
        fields: dict[str, Value],
        *,
        pointer: bool = False,
        names: Mapping[str, str] | None = None,
        omit: frozenset[str] = frozenset(),
        inline: tuple[str, ...] = (),
    ) -> None:
        self.go_type = go_type
        self.fields = fields
        self.pointer = pointer
        self.names = names or {}
        self.omit = omit
        self.inline = inline

    def get(self, name: str) -> tuple[bool, Value]:
        """Whether there is a field ``name``, own or promoted, and its value."""
        if name in self.fields:
            return True, self.fields[name]
        for embedded in self.inline:
            inner = self.fields.get(embedded)
            if isinstance(inner, GoStruct):
                found, value = inner.get(name)
                if found:
                    return True, value
        return False, None


class NilPointer:
    """A nil pointer to ``go_type`` (named without the star)."""

    __slots__ = ("go_type",)

    def __init__(self, go_type: str) -> None:
        self.go_type = go_type


def unwrap(value: Value) -> Value:
    """The value inside an interface; None if it is nil (``reflect.Value.Elem``)."""
    return value.held if isinstance(value, Interface) else value


def type_name(value: Value) -> str:
    """Go's name of the value's static type, as ``%T`` and error texts give it."""
    if isinstance(value, Interface):
        return "interface {}"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (GoInt, GoList, GoMap)):
        return value.go_type
    if isinstance(value, int):
        return "int"
    if isinstance(value, Number):
        return "json.Number"
    if isinstance(value, Port):
        return "nat.Port"
    if isinstance(value, str):
        return "string"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, complex):
        return "complex128"
    if isinstance(value, list):
        return "[]interface {}"
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, GoStruct):
        return "*" + value.go_type if value.pointer else value.go_type
    if isinstance(value, NilPointer):
        return "*" + value.go_type
    if isinstance(value, GoTime):
        return "time.Time"
    named: str = getattr(value, "GO_TYPE", type(value).__name__)
    return "<nil>" if value is None else named


def is_true(value: Value) -> bool:
    """Go templates' truth: not the zero value, not empty; structs always."""
    value = unwrap(value)
    if value is None or isinstance(value, NilPointer):
        return False
    if isinstance(value, (bool, int, float, complex, str, list, dict)):
        return bool(value)
    return True


def is_unsigned(value: Value) -> bool:
    """True for an integer of one of Go's ``uint`` types."""
    return isinstance(value, GoInt) and value.go_type.startswith(("uint", "fs.", "os."))


def is_integer(value: Value) -> bool:
    """True for every Go integer kind (``bool`` is not one)."""
    return isinstance(value, int) and not isinstance(value, bool)


def byte_length(text: str) -> int:
    """The length that Go's ``len`` gives: bytes of UTF-8."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogateescape"))


def duration_text(nanoseconds: int) -> str:
    """``time.Duration.String``: 90000000000 is ``1m30s``."""
    if nanoseconds == 0:
        return "0s"
    sign = "-" if nanoseconds < 0 else ""
    rest = abs(nanoseconds)
    if rest < 1_000_000_000:
        for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
            if rest < size * 1000:
                whole, part = divmod(rest, size)
                digits = len(str(size)) - 1
                fraction = f"{part:0{digits}d}".rstrip("0") if digits else ""
                return f"{sign}{whole}{'.' + fraction if fraction else ''}{unit}"
    seconds, nanos = divmod(rest, 1_000_000_000)
    fraction = f"{nanos:09d}".rstrip("0")
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{seconds}{'.' + fraction if fraction else ''}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


class HeaderMap(GoMap):
    """Column titles by field: what a table's template sees for its first line."""

    METHOD_ARGUMENTS: ClassVar[Mapping[str, tuple[str, ...]]] = {"Label": ("string",)}

    def go_method(self, name: str) -> Callable[..., Value] | None:
        """``Label``: the last part of a label's name is the column's title."""
        if name != "Label":
            return None
        return lambda label: label.split(".")[-1].replace("-", " ").replace("_", " ")
