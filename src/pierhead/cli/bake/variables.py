"""Values of variables that come as text, and how ``--list`` shows them. Pure."""

from __future__ import annotations

from pierhead.cli.bake.hcl.values import (
    Set,
    ValueProblem,
    convert,
    friendly,
    is_number,
    kind,
    number,
    to_string,
)
from pierhead.cli.bake.target import BakeProblem
from pierhead.cli.flags import go_quote, parse_bool, split_csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.bake.hcl.values import Type

_PRIMITIVE = ("string", "number", "bool")


def from_text(
    name: str,
    text: str,
    type: Type | None,
    default: Any,
    *,
    has_default: bool,
    as_json: bool,
) -> Any:
    """What an override means: by the variable's type, or else by that of its default.

    Lists, sets and tuples are CSV, maps CSV of ``key:value``. Raises ``BakeProblem``.
    """
    if type is not None and as_json:
        return _from_json(name, text, type)
    if isinstance(type, tuple) and type[0] != "object":
        return _from_csv(name, text, type)
    if type in _PRIMITIVE:
        return _primitive(name, text, type)
    if type is not None and type != "any":
        raise BakeProblem(f"unsupported type {friendly(type)} for variable {name}")
    if not has_default or default is None:
        return text
    found = kind(default)
    if found in _PRIMITIVE:
        return _primitive(name, text, found)
    raise BakeProblem(f"unsupported type {found} for variable {name}")


def _from_json(name: str, text: str, type: Type) -> Any:
    import json

    try:
        return convert(json.loads(text), type)
    except (ValueError, ValueProblem) as problem:
        raise BakeProblem(f"failed to convert variable {name} from JSON: {problem}") from None


def _primitive(name: str, text: str, type: str) -> Any:
    if type == "string":
        return text
    if type == "bool":
        try:
            return parse_bool(text)
        except ValueError as error:
            raise BakeProblem(f"failed to parse {name} as bool: {error}") from None
    try:
        value = float(text)
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError
        return int(text) if text.lstrip("+-").isdigit() else number(value)
    except ValueError:
        raise BakeProblem(
            f"failed to parse {name} as number: strconv.ParseFloat: parsing {go_quote(text)}: "
            "invalid syntax"
        ) from None


def _from_csv(name: str, text: str, type: tuple[str, Any]) -> Any:
    what, inner = type
    try:
        fields = split_csv(text)
    except ValueError as error:
        raise BakeProblem(f"failed to parse {text} as CSV: {error}") from None
    if what == "tuple":
        if len(inner) != len(fields):
            raise BakeProblem(
                f"tuple expects {len(inner)} elements but only {len(fields)} provided"
            )
        return [_primitive(name, one, of) for one, of in zip(fields, inner, strict=True)]
    if inner not in _PRIMITIVE:
        raise BakeProblem(f"unsupported type {friendly(type)} for CSV specification")
    if what == "map":
        found = {}
        for field in fields:
            key, colon, value = field.partition(":")
            if not colon:
                raise BakeProblem(f"expected one k/v pair but got 1 pieces from {field}")
            found[key] = _primitive(name, value, inner)
        return found
    items = [_primitive(name, one, inner) for one in fields]
    return Set.of(items) if what == "set" else items


def shown(value: Any) -> str:
    """A variable's value in a list: texts as they are, lists and maps as JSON."""
    if isinstance(value, str | bool) or is_number(value):
        return to_string(value)
    from pierhead.cli.bake.hcl.collection_functions import json_text

    return json_text(value)
