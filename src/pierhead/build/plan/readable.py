"""Text that is to be JSON: bytes that aren't UTF-8 become U+FFFD, as Go's encoder has it. Pure."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from pierhead.build.dockerfile.model import Instruction

AnyInstruction = TypeVar("AnyInstruction", bound=Instruction)


def text(value: str) -> str:
    """``value`` without surrogates, which stand for undecodable bytes."""
    try:
        value.encode()
        return value
    except UnicodeEncodeError:
        pass
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:  # half of a pair, from somebody's JSON
        return value.encode("utf-8", "replace").decode()


def instruction(item: AnyInstruction) -> AnyInstruction:
    """An instruction with all of its texts made readable; nearly always itself."""
    changed = _fields(item)
    return replace(item, **changed) if changed else item


def _fields(item: Any) -> dict[str, Any]:
    changed = {}
    for field in fields(item):
        old = getattr(item, field.name)
        new = _value(old)
        if new is not old:
            changed[field.name] = new
    return changed


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else text(value)
    if isinstance(value, tuple):
        new = tuple(_value(item) for item in value)
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    if is_dataclass(value) and not isinstance(value, type):
        changed = _fields(value)
        return replace(value, **changed) if changed else value
    return value
