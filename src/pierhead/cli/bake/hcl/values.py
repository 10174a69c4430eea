"""Values of bake files and their conversions. No IO.

Strings are ``str``, truth values ``bool``, numbers ``int`` (or ``float`` where they have a
fraction), lists and tuples ``list``, sets ``Set``, maps and objects ``dict``, null ``None``.
Rules are those of HashiCorp's cty, as far as they can be seen from a bake file.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    #: ``string``, ``number``, ``bool``, ``any``, or (kind, what it holds)
    Type = Any


class ValueProblem(Exception):
    """A value that can't be used so; the text follows ``summary; ``."""


class Set(list):  # type: ignore[type-arg]
    """A set: each value once, in order."""

    @classmethod
    def of(cls, values: list[Any]) -> Set:
        """Values as a set, in cty's order: numbers by size, texts by their letters."""
        found: list[Any] = []
        for value in values:
            if not any(same(value, other) for other in found):
                found.append(value)
        if all(isinstance(value, str) for value in found) or all(is_number(v) for v in found):
            found.sort()
        return cls(found)


def is_number(value: Any) -> bool:
    """Whether it's a number; truth values are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def kind(value: Any) -> str:
    """What people call its type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if is_number(value):
        return "number"
    if isinstance(value, dict):
        return "object"
    return "set" if isinstance(value, Set) else "tuple"


def same(left: Any, right: Any) -> bool:
    """Equal in type and value: 1 is not true and not "1"."""
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if is_number(left) and is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def number(value: float) -> int | float:
    """Whole numbers without a fraction's type."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def number_text(value: int | float) -> str:
    """A number as cty writes it: digits, no exponent."""
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    if "e" not in text and "inf" not in text and "nan" not in text:
        return text
    from decimal import Decimal

    return format(Decimal(text), "f")


def to_string(value: Any) -> str:
    """Conversion to a string. Raises ``ValueProblem``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    if value is None:
        raise ValueProblem("string required, but have null")
    raise ValueProblem("string required")


def to_number(value: Any) -> int | float:
    """Conversion to a number. Raises ``ValueProblem``."""
    if is_number(value):
        return number(value)
    if isinstance(value, str):
        try:
            if value != value.strip() or "_" in value or not value[-1:].isdigit():
                raise ValueError
            exact: int | float = int(value) if value.lstrip("+-").isdigit() else float(value)
            return number(exact)
        except ValueError:
            raise ValueProblem("a number is required") from None
    raise ValueProblem("a number is required" if value is not None else "must not be null")


def to_bool(value: Any) -> bool:
    """Conversion to a truth value. Raises ``ValueProblem``."""
    if isinstance(value, bool):
        return value
    if value in ("true", "1") and isinstance(value, str):
        return True
    if value in ("false", "0") and isinstance(value, str):
        return False
    if isinstance(value, str) and value.lower() in ("true", "false"):
        raise ValueProblem(
            f'a bool is required; to convert from string, use lowercase "{value.lower()}"'
        )
    raise ValueProblem("a bool is required" if value is not None else "must not be null")


def friendly(type: Type) -> str:
    """A type as errors and lists name it: ``list of string``."""
    if isinstance(type, str):
        return "dynamic" if type == "any" else type
    name, inner = str(type[0]), type[1]
    return name if name in ("tuple", "object") else f"{name} of {friendly(inner)}"


def convert(value: Any, type: Type) -> Any:
    """``value`` as ``type``. Raises ``ValueProblem``."""
    if value is None or type == "any":
        return value
    if type == "string":
        return to_string(value)
    if type == "number":
        return to_number(value)
    if type == "bool":
        return to_bool(value)
    name, inner = type
    if name in ("list", "set"):
        if not isinstance(value, list):
            raise ValueProblem(f"{friendly(type)} required")
        items = [convert(one, inner) for one in value]
        return Set.of(items) if name == "set" else items
    if name == "map":
        if not isinstance(value, dict):
            raise ValueProblem(f"{friendly(type)} required")
        return {key: convert(one, inner) for key, one in value.items()}
    if name == "tuple":
        if not isinstance(value, list) or len(value) != len(inner):
            raise ValueProblem(f"tuple of {len(inner)} elements required")
        return [convert(one, wanted) for one, wanted in zip(value, inner, strict=True)]
    if not isinstance(value, dict):
        raise ValueProblem("object required")
    missing = [key for key in inner if key not in value]
    if missing:
        raise ValueProblem(f'attribute "{missing[0]}" is required')
    return {key: convert(value[key], wanted) for key, wanted in inner.items()}
