"""Classes for the messages of ``schema``, made when they are first asked for.

There is no compiler at build time: the table becomes one file descriptor a package, and
protobuf's own factory does the rest::

    StatusRequest = messages.get("moby.buildkit.v1.StatusRequest")
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

from pierhead.build.buildkit.schema import PACKAGES

# google.protobuf.FieldDescriptorProto.Type
_TYPES: Final = {"s": 9, "b": 12, "?": 8, "i": 3, "n": 5, "u": 13, "E": 5}
_MESSAGE: Final = 11
_TIMESTAMP: Final = ".google.protobuf.Timestamp"
_OPTIONAL, _REPEATED = 1, 3

Message = Any
"""What a class of ``get`` makes; protobuf's classes are made at run time and have no types."""


class Field(NamedTuple):
    number: int
    name: str
    type: str
    repeated: bool = False
    map_key: str = ""


def fields_of(text: str) -> list[Field]:
    """A message's fields, from its line in the table (without its name)."""
    fields: list[Field] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        number, kind, name = part.split(" ")
        repeated, map_key = kind.startswith("*"), ""
        kind = kind.removeprefix("*")
        if kind.startswith("{"):
            map_key, _, kind = kind[1:].partition("}")
            map_key = map_key or "s"
        fields.append(Field(int(number), name, kind, repeated, map_key))
    return fields


@cache
def get(name: str) -> Any:
    """The class of a message, by its whole name."""
    from google.protobuf import message_factory

    factory: Any = message_factory
    descriptor = _pool().FindMessageTypeByName(name)
    if hasattr(factory, "GetMessageClass"):
        return factory.GetMessageClass(descriptor)
    return factory.MessageFactory(_pool()).GetPrototype(descriptor)  # before 4.22


def timestamp(message: Message, time_ns: int) -> None:
    """Set a timestamp field."""
    message.seconds, message.nanos = divmod(time_ns, 1_000_000_000)


def time_ns(message: Message) -> int:
    return int(message.seconds) * 1_000_000_000 + int(message.nanos)


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, timestamp_pb2

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for package, table in PACKAGES.items():
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.proto", package=package, syntax="proto3"
        )
        needed: set[str] = set()
        for line in filter(None, table.split("\n")):
            name, _, rest = line.partition(" ")
            _add_message(file.message_type.add(name=name), package, fields_of(rest), needed)
        file.dependency.append("google/protobuf/timestamp.proto")
        file.dependency.extend(f"{other}.proto" for other in sorted(needed))
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_message(message: Any, package: str, fields: list[Field], needed: set[str]) -> None:
    for field in fields:
        target = message.field.add(name=field.name, number=field.number)
        target.label = _REPEATED if field.repeated or field.map_key else _OPTIONAL
        if not field.map_key:
            _set_type(target, field.type, package, needed)
            continue
        # A map is a repeated message of a key and a value (protobuf's own rule for its name).
        entry_name = "".join(_words(field.name)) + "Entry"
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        key = entry.field.add(name="key", number=1, label=_OPTIONAL)
        _set_type(key, field.map_key, package, needed)
        value = entry.field.add(name="value", number=2, label=_OPTIONAL)
        _set_type(value, field.type, package, needed)
        target.type = _MESSAGE
        target.type_name = f".{package}.{message.name}.{entry_name}"


def _words(name: str) -> list[str]:
    """``exporter_response`` → ``Exporter``, ``Response``."""
    return [part[:1].upper() + part[1:] for part in name.split("_")]


def _set_type(target: Any, kind: str, package: str, needed: set[str]) -> None:
    if kind in _TYPES:
        target.type = _TYPES[kind]
        return
    target.type = _MESSAGE
    if kind == "T":
        target.type_name = _TIMESTAMP
        return
    other, _, _ = kind.rpartition(".")
    if other and other != package:
        needed.add(other)
    target.type_name = f".{kind}" if other else f".{package}.{kind}"
