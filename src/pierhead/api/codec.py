"""JSON in and out at the edge: typed, and lenient exactly where Go's decoder is.

Docker's clients rely on what ``encoding/json`` lets pass: ``null`` is the zero value,
a field's name may have any case, unknown fields are ignored, and a few fields (``Cmd``,
``Entrypoint``, ``Shell``) take a string for a list of one. Wrong types are errors that
name the field. ``normalise`` brings a decoded document into the exact names and shapes
of a msgspec struct, following a plan made once per type; msgspec then checks the types.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from pierhead.errors import InvalidParameter

T = TypeVar("T")

Step = Callable[[Any], Any]

# moby's strslice: a bare string stands for a list of one.
_STRING_OR_LIST: Final = frozenset({"Cmd", "Entrypoint", "Shell"})

_AT_BYTE: Final = re.compile(r"(?:malformed: )?([a-z ]+) \(byte (\d+)\)$")
_LOOKING_FOR: Final = {
    "object keys must be strings": "object key string",
    "invalid character": "value",
}

_decode_any = msgspec.json.Decoder().decode
_encode_any = msgspec.json.Encoder().encode
_plans: dict[Any, Step | None] = {}

_JSON_NAMES: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def encode(value: Any) -> bytes:
    """JSON with the trailing newline that Go's encoder writes."""
    return _encode_any(value) + b"\n"


def decode(body: bytes, type_: type[T]) -> T:
    """Decode ``body`` as ``type_``; an empty body is the zero value.

    Raises ``InvalidParameter`` naming the field for anything that doesn't fit.
    """
    return convert(parse(body), type_)


def parse(body: bytes) -> dict[str, Any]:
    """Decode ``body`` as a JSON object, without types. Empty and ``null`` are ``{}``."""
    if not body:
        return {}
    if not body.strip():
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    try:
        document = _decode_any(body)
    except RecursionError as error:
        raise InvalidParameter("invalid JSON: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"invalid JSON: {_syntax(str(error), body)}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidParameter(f"invalid JSON: expected an object, got {_kind(document)}")
    return document


def convert(document: Any, type_: type[T], at: str = "") -> T:
    """Turn a decoded document into ``type_``; ``at`` is its place in the request."""
    step = _plan(type_)
    try:
        return msgspec.convert(step(document) if step else document, type_)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid JSON: {_field_error(str(error), at)}") from error


def _plan(annotation: Any) -> Step | None:
    """How to normalise values of ``annotation``; None if there is nothing to do."""
    try:
        if annotation in _plans:
            return _plans[annotation]
    except TypeError:
        return None
    _plans[annotation] = None  # ends the recursion of self-referential types
    _plans[annotation] = plan = _make_plan(annotation)
    return plan


def _make_plan(annotation: Any) -> Step | None:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _struct_plan(annotation)
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in arguments if part is not type(None)]
        step = _plan(inner[0]) if len(inner) == 1 else None
        return None if step is None else lambda value: None if value is None else step(value)
    if origin is list:
        return _list_plan(arguments[0])
    if origin is dict:
        return _dict_plan(arguments[1])
    return None


def _struct_plan(struct: type[msgspec.Struct]) -> Step:
    hints = typing.get_type_hints(struct)
    steps: dict[str, Step | None] = {}
    folded: dict[str, str] = {}
    for field in msgspec.structs.fields(struct):
        name = field.encode_name
        step = _plan(hints[field.name])
        if name in _STRING_OR_LIST:
            step = _string_or_list
        steps[name] = step
        folded[name.lower()] = name

    def normalise(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = key if key in steps else folded.get(key.lower(), "")
            # null leaves the field at its zero value, as in Go.
            if not name or item is None:
                continue
            step = steps[name]
            result[name] = item if step is None else step(item)
        return result

    return normalise


def _list_plan(inner: Any) -> Step | None:
    step = _plan(inner)
    zero = _zero(inner)

    def normalise(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if zero is not None:
            value = [zero() if item is None else item for item in value]
        return value if step is None else [step(item) for item in value]

    return normalise if step or zero else None


def _dict_plan(inner: Any) -> Step | None:
    step = _plan(inner)
    zero = _zero(inner)

    def normalise(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if zero is not None:
            value = {key: zero() if item is None else item for key, item in value.items()}
        return value if step is None else {key: step(item) for key, item in value.items()}

    return normalise if step or zero else None


def _zero(annotation: Any) -> Callable[[], Any] | None:
    """What ``null`` means for an element of this type; None if null itself is allowed."""
    origin = typing.get_origin(annotation)
    if annotation in (str, int, float, bool):
        return typing.cast("Callable[[], Any]", annotation)
    if origin is list:
        return list
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)):
        return dict
    return None


def _string_or_list(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return ["" if item is None else item for item in value]
    return value


def _kind(value: Any) -> str:
    names: dict[type, str] = {
        type(None): "null",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "something else")


def _syntax(message: str, body: bytes) -> str:
    """msgspec's words for a syntax error as Go's decoder says it, which clients compare."""
    match = _AT_BYTE.search(message)
    if match is not None:
        at = int(match[2])
        if match[1] == "trailing characters":
            return f"unexpected content after JSON (byte {at})"
        place = _LOOKING_FOR.get(match[1])
        if place is not None and at < len(body):
            found = body[at:].decode(errors="replace")[0]
            return f"invalid character {found!r} looking for beginning of {place} (byte {at})"
    return message.replace("JSON is malformed: ", "").replace("Input data was truncated", "EOF")


def _field_error(message: str, at: str) -> str:
    """``Expected `int`, got `str` - at `$.A.B``` → ``A.B: expected an integer, got a string``."""
    text, _, path = message.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".")
    field = ".".join(part for part in (at, field) if part)
    text = text.replace(" | null`", "`")  # null is never the cure
    for name, words in _JSON_NAMES.items():
        text = text.replace(f"`{name}`", words)
    text = text.replace("`", "")
    text = text[:1].lower() + text[1:]
    return f"{field}: {text}" if field else text
