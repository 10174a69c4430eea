"""Decoded JSON of the Engine API as Go values, by the types in ``go_fields``."""

from __future__ import annotations

from pierhead.cli.format.go_fields import FIELDS
from pierhead.cli.gotemplate.values import (
    Duration,
    GoInt,
    GoList,
    GoMap,
    GoStruct,
    GoTime,
    Interface,
    NilPointer,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.gotemplate.values import Value

#: What ``inspect`` decodes its objects into.
KINDS = {
    "container": "container.InspectResponse",
    "image": "image.InspectResponse",
    "network": "network.Inspect",
    "volume": "volume.Volume",
    "version": "types.Version",
    "info": "system.Info",
    "event": "events.Message",
}
_PLAIN_INTS = ("int64", "int32", "uint16", "uint32", "uint64", "uint", "uint8")


def typed(value: object, kind: str) -> GoStruct:
    """The object as a Go struct. ``kind`` is one of :data:`KINDS`, or a Go type's name."""
    return struct(value if isinstance(value, dict) else {}, KINDS.get(kind, kind))


def struct(value: dict[str, Value], go_type: str) -> GoStruct:
    """A struct of ``go_type``; what ``value`` lacks gets Go's zero value."""
    fields: dict[str, Value] = {}
    names: dict[str, str] = {}
    omit: set[str] = set()
    inline: list[str] = []
    for word in FIELDS[go_type].split():
        head, _, field_type = word.partition(":")
        if head.endswith("!"):
            name = head[:-1]
            inline.append(name)
            fields[name] = _convert(value, field_type)
            continue
        if head.endswith("?"):
            head = head[:-1]
            omit.add(head.partition("=")[0])
        name, _, json_name = head.partition("=")
        if json_name:
            names[name] = json_name
        fields[name] = _convert(value.get(json_name or name), field_type)
    return GoStruct(go_type, fields, names=names, omit=frozenset(omit), inline=tuple(inline))


def _convert(value: Value, go_type: str) -> Value:
    if go_type == "string":
        return value if isinstance(value, str) else ""
    if go_type == "bool":
        return value is True
    if go_type == "int":
        return value if isinstance(value, int) else 0
    if go_type in _PLAIN_INTS:
        return GoInt(value if isinstance(value, int) else 0, go_type)
    if go_type == "time.Duration":
        return Duration(value if isinstance(value, int) else 0)
    if go_type == "time.Time":
        return GoTime(value if isinstance(value, str) else "0001-01-01T00:00:00Z")
    if go_type == "any":
        return Interface(value)
    if go_type == "bytes":
        return value if isinstance(value, str) else Interface(None)
    if go_type == "struct{}":
        return GoStruct("struct {}", {})
    if go_type[0] == "*":
        if value is None:
            return NilPointer(go_type[1:])
        made = _convert(value, go_type[1:])
        if isinstance(made, GoStruct):
            made.pointer = True
        return made
    if go_type[0] == "[":
        return _list(value, go_type)
    if go_type.startswith("map["):
        return _map(value, go_type)
    return struct(value if isinstance(value, dict) else {}, go_type)


def _list(value: Value, go_type: str) -> GoList:
    size, _, item_type = go_type[1:].partition("]")
    items = value if isinstance(value, list) else []
    if size and not items:
        items = [None] * int(size)
    made = GoList([_convert(item, item_type) for item in items], go_type)
    made.is_nil = value is None and not size
    return made


def _map(value: Value, go_type: str) -> GoMap:
    _, _, item_type = go_type.partition("]")
    items = value if isinstance(value, dict) else {}
    made = GoMap(
        {key: _convert(item, item_type) for key, item in items.items()},
        go_type.replace("any", "interface {}").replace("struct{}", "struct {}"),
        _convert(None, item_type),
    )
    made.is_nil = value is None
    return made
