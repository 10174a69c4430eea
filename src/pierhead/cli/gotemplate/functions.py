"""The functions of ``text/template`` itself: comparisons, index, slice, printf, escapes.

``and``, ``or`` and ``call`` are known here by name only; the evaluator does them,
since they don't evaluate all of their arguments.
"""

from __future__ import annotations

from pierhead.cli.gotemplate.errors import FunctionError
from pierhead.cli.gotemplate.printing import display, sprint, sprintf, sprintln
from pierhead.cli.gotemplate.values import (
    GoInt,
    GoList,
    GoMap,
    GoStruct,
    Interface,
    NilPointer,
    byte_length,
    is_integer,
    is_true,
    type_name,
    unwrap,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pierhead.cli.gotemplate.values import Value


class Function:
    """A callable with its Go parameter types.

    Types: ``value`` (as it is, interfaces kept), ``any``, ``string``, ``int``,
    ``[]string``. With ``variadic`` the last type repeats.
    """

    __slots__ = ("parameters", "run", "variadic")

    def __init__(
        self, run: Callable[..., Any], parameters: tuple[str, ...], variadic: bool = False
    ) -> None:
        self.run = run
        self.parameters = parameters
        self.variadic = variadic


# Comparisons


def _basic_kind(value: Value) -> str:
    """Go's class of comparable basic kinds, ``""`` for the others."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, str):
        return "string"
    if isinstance(value, float):
        return "float"
    return "complex" if isinstance(value, complex) else ""


def _kind(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "slice"
    if isinstance(value, dict):
        return "map"
    if isinstance(value, GoStruct):
        return "ptr" if value.pointer else "struct"
    return "ptr"


def _is_nil(value: Value) -> bool:
    return value is None or isinstance(value, NilPointer) or bool(getattr(value, "is_nil", False))


def _eq(first: Value, *others: Value) -> bool:
    first = unwrap(first)
    if not others:
        raise FunctionError("missing argument for comparison")
    kind = _basic_kind(first)
    for other in others:
        other = unwrap(other)
        if kind != _basic_kind(other):
            if first is not None and other is not None:
                raise FunctionError(
                    f"incompatible types for comparison: {type_name(first)} and {type_name(other)}"
                )
            continue
        if kind:
            if first == other:
                return True
            continue
        if _kind(first) != _kind(other) and first is not None and other is not None:
            raise FunctionError(
                f"non-comparable types {sprintf('%s', [first])}: {type_name(first)}, "
                f"{type_name(other)}: {display(other)}"
            )
        if _is_nil(first) or _is_nil(other):
            if _is_nil(first) and _is_nil(other):
                return True
            continue
        if isinstance(other, (list, dict)) or (isinstance(other, GoStruct) and not other.pointer):
            raise FunctionError(f"non-comparable type {sprintf('%s', [other])}: {type_name(other)}")
        if first is other:
            return True
    return False


def _lt(first: Value, second: Value) -> bool:
    first, second = unwrap(first), unwrap(second)
    kinds = (_basic_kind(first), _basic_kind(second))
    if not kinds[0] or not kinds[1]:
        raise FunctionError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise FunctionError(
            f"incompatible types for comparison: {type_name(first)} and {type_name(second)}"
        )
    if kinds[0] in ("bool", "complex"):
        raise FunctionError("invalid type for comparison")
    return bool(first < second)


def _le(first: Value, second: Value) -> bool:
    return _lt(first, second) or _eq(first, second)


# Containers


def _position(index: Value, limit: int) -> int:
    if index is None:
        raise FunctionError("cannot index slice/array with nil")
    if not is_integer(index):
        raise FunctionError(f"cannot index slice/array with type {type_name(index)}")
    if index < 0 or index > limit:
        raise FunctionError(f"index out of range: {int(index)}")
    return int(index)


def element(item: list[Any], at: int) -> Value:
    """``item[at]`` under the slice's element type."""
    value = item[at]
    return value if isinstance(item, GoList) else Interface(value)


def entry(item: dict[str, Any], key: str) -> Value:
    """``item[key]``, present, under the map's element type."""
    value = item[key]
    return value if isinstance(item, GoMap) else Interface(value)


def _index(item: Value, *indexes: Value) -> Value:
    item = unwrap(item)
    if item is None:
        raise FunctionError("index of untyped nil")
    for index in indexes:
        item = unwrap(item)
        if item is None or isinstance(item, NilPointer):
            raise FunctionError("index of nil pointer")
        if isinstance(item, str):
            data = str(item).encode("utf-8", "surrogateescape")
            at = _position(unwrap(index), len(data))
            if at == len(data):
                raise FunctionError("reflect: string index out of range")
            item = GoInt(data[at], "uint8")
        elif isinstance(item, list):
            at = _position(unwrap(index), len(item))
            if at == len(item):
                raise FunctionError("reflect: slice index out of range")
            item = element(item, at)
        elif isinstance(item, dict):
            key = unwrap(index)
            if key is None:
                raise FunctionError("value is nil; should be of type string")
            wanted = "nat.Port" if type_name(item).startswith("map[nat.Port]") else "string"
            if not isinstance(key, str) or type_name(key) != wanted:
                raise FunctionError(f"value has type {type_name(key)}; should be {wanted}")
            if key in item:
                item = entry(item, key)
            else:
                item = item.zero if isinstance(item, GoMap) else Interface(None)
        else:
            raise FunctionError(f"can't index item of type {type_name(item)}")
    return item


def _slice(item: Value, *indexes: Value) -> Value:
    item = unwrap(item)
    if item is None:
        raise FunctionError("slice of untyped nil")
    if isinstance(item, NilPointer):
        raise FunctionError("slice of nil pointer")
    if len(indexes) > 3:
        raise FunctionError(f"too many slice indexes: {len(indexes)}")
    data: Any
    if isinstance(item, str):
        if len(indexes) == 3:
            raise FunctionError("cannot 3-index slice a string")
        data = str(item).encode("utf-8", "surrogateescape")
    elif isinstance(item, list):
        data = item
    else:
        raise FunctionError(f"can't slice item of type {type_name(item)}")
    bounds = [0, len(data)]
    for number, index in enumerate(indexes):
        at = _position(index, len(data))
        if number < 2:
            bounds[number] = at
        else:
            bounds.append(at)
    if bounds[0] > bounds[1]:
        raise FunctionError(f"invalid slice index: {bounds[0]} > {bounds[1]}")
    if len(bounds) == 3 and bounds[1] > bounds[2]:
        raise FunctionError(f"invalid slice index: {bounds[1]} > {bounds[2]}")
    part = data[bounds[0] : bounds[1]]
    if isinstance(item, str):
        return part.decode("utf-8", "surrogateescape")
    return GoList(part, item.go_type) if isinstance(item, GoList) else part


def _len(item: Value) -> int:
    if item is None:
        raise FunctionError("reflect: call of reflect.Value.Type on zero Value")
    item = unwrap(item)
    if isinstance(item, NilPointer):
        raise FunctionError("len of nil pointer")
    if isinstance(item, str):
        return byte_length(item)
    if isinstance(item, (list, dict)):
        return len(item)
    if item is None:
        raise FunctionError("len of nil pointer")
    raise FunctionError(f"len of type {type_name(item)}")


# Escapes

_HTML = {
    "\0": "\ufffd",
    '"': "&#34;",
    "'": "&#39;",
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
}
_JS = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}
_URL_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


def _joined(arguments: tuple[Value, ...]) -> str:
    shown = [
        "<no value>"
        if unwrap(argument) is None and not isinstance(argument, Interface)
        else argument
        for argument in arguments
    ]
    return sprint(shown)


def _html(*arguments: Value) -> str:
    return "".join([_HTML.get(char, char) for char in _joined(arguments)])


def _js(*arguments: Value) -> str:
    out = []
    for char in _joined(arguments):
        known = _JS.get(char)
        if known is not None:
            out.append(known)
        elif char < " ":
            out.append(f"\\u00{ord(char):02X}")
        elif "\udc80" <= char <= "\udcff":
            out.append("\ufffd")
        else:
            out.append(char if char.isprintable() or char == "\x7f" else f"\\u{ord(char):04X}")
    return "".join(out)


def _urlquery(*arguments: Value) -> str:
    out = []
    for char in _joined(arguments):
        if char in _URL_SAFE:
            out.append(char)
        elif char == " ":
            out.append("+")
        else:
            out += [f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape")]
    return "".join(out)


def _done_by_evaluator(*_: Value) -> Value:
    raise AssertionError("and, or and call are evaluated by the evaluator")


BUILTINS: dict[str, Function] = {
    "and": Function(_done_by_evaluator, ("value", "value"), variadic=True),
    "call": Function(_done_by_evaluator, ("value", "value"), variadic=True),
    "eq": Function(_eq, ("value", "value"), variadic=True),
    "ge": Function(lambda a, b: not _lt(a, b), ("value", "value")),
    "gt": Function(lambda a, b: not _le(a, b), ("value", "value")),
    "html": Function(_html, ("any",), variadic=True),
    "index": Function(_index, ("value", "value"), variadic=True),
    "js": Function(_js, ("any",), variadic=True),
    "le": Function(_le, ("value", "value")),
    "len": Function(_len, ("value",)),
    "lt": Function(_lt, ("value", "value")),
    "ne": Function(lambda a, b: not _eq(a, b), ("value", "value")),
    "not": Function(lambda value: not is_true(value), ("value",)),
    "or": Function(_done_by_evaluator, ("value", "value"), variadic=True),
    "print": Function(lambda *arguments: sprint(arguments), ("any",), variadic=True),
    "printf": Function(
        lambda template, *arguments: sprintf(template, arguments), ("string", "any"), variadic=True
    ),
    "println": Function(lambda *arguments: sprintln(arguments), ("any",), variadic=True),
    "slice": Function(_slice, ("value", "value"), variadic=True),
    "urlquery": Function(_urlquery, ("any",), variadic=True),
}
