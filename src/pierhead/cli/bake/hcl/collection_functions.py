"""Functions of bake files on lists, sets, maps and JSON. They raise ``ValueProblem``."""

from __future__ import annotations

import itertools
import json

from pierhead.cli.bake.hcl.values import (
    Set,
    ValueProblem,
    is_number,
    kind,
    same,
    to_number,
    to_string,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueProblem(f"a list is required, not {kind(value)}")
    return value


def _map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueProblem(f"a map is required, not {kind(value)}")
    return value


def _chunklist(values: Any, size: Any) -> list[list[Any]]:
    items, step = _list(values), int(to_number(size))
    if step < 0:
        raise ValueProblem("the size argument must be positive")
    if not step:
        return [items] if items else []
    return [items[at : at + step] for at in range(0, len(items), step)]


def _coalesce(*values: Any) -> Any:
    for value in values:
        if value is not None:
            return value
    raise ValueProblem("no non-null arguments")


def _coalescelist(*values: Any) -> list[Any]:
    for value in values:
        if value is not None and _list(value):
            return _list(value)
    raise ValueProblem("no non-null arguments")


def _contains(values: Any, wanted: Any) -> bool:
    return any(same(one, wanted) for one in _list(values))


def _csvdecode(text: Any) -> list[dict[str, str]]:
    import csv
    import io

    rows = list(csv.reader(io.StringIO(to_string(text))))
    if not rows:
        raise ValueProblem("missing header line")
    return [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in _list(values):
        if not any(same(value, other) for other in found):
            found.append(value)
    return found


def _element(values: Any, index: Any) -> Any:
    items = _list(values)
    if not items:
        raise ValueProblem("cannot use element function with an empty list")
    at = int(to_number(index))
    if at < 0:
        raise ValueProblem("cannot use element function with a negative index")
    return items[at % len(items)]


def _flatten(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in _list(values):
        found += _flatten(value) if isinstance(value, list) else [value]
    return found


def _hasindex(value: Any, key: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(key, str) and key in value
    return isinstance(value, list) and is_number(key) and key == int(key) and 0 <= key < len(value)


def _index(value: Any, key: Any) -> Any:
    if not _hasindex(value, key):
        raise ValueProblem("invalid index")
    return value[key]


def _indexof(values: Any, wanted: Any) -> int:
    items = _list(values)
    if not items:
        raise ValueProblem("cannot search an empty list")
    for at, value in enumerate(items):
        if same(value, wanted):
            return at
    raise ValueProblem("item not found")


def _join(separator: Any, *lists: Any) -> str:
    if not lists:
        raise ValueProblem("at least one list is required")
    return to_string(separator).join(to_string(one) for part in lists for one in _list(part))


def _length(value: Any) -> int:
    if isinstance(value, (list, dict)):
        return len(value)
    raise ValueProblem("collection must be a list, a map or a tuple")


def _lookup(value: Any, key: Any, *default: Any) -> Any:
    found = _map(value)
    name = to_string(key)
    if name in found:
        return found[name]
    if default:
        return default[0]
    raise ValueProblem(f'the given object has no attribute "{name}"')


def _merge(*maps: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in maps:
        if one is not None:
            found.update(_map(one))
    return dict(sorted(found.items()))


def _range(*limits: Any) -> list[Any]:
    numbers = [to_number(one) for one in limits]
    if not 1 <= len(numbers) <= 3:
        raise ValueProblem("must have one, two, or three arguments")
    at = 0 if len(numbers) == 1 else numbers[0]
    end = numbers[0] if len(numbers) == 1 else numbers[1]
    step = numbers[2] if len(numbers) == 3 else 1 if end >= at else -1
    if not step:
        raise ValueProblem("step must not be zero")
    found: list[Any] = []
    while (at < end) if step > 0 else (at > end):
        found.append(at)
        at += step
        if len(found) > 1024:
            raise ValueProblem("more than 1024 values were generated")
    return found


def _reversed(values: Any) -> list[Any]:
    return list(reversed(_list(values)))


def _slice(values: Any, start: Any, end: Any) -> list[Any]:
    items, first, last = _list(values), int(to_number(start)), int(to_number(end))
    if not 0 <= first <= last <= len(items):
        raise ValueProblem("start and end must be within the list")
    return items[first:last]


def _sort(values: Any) -> list[str]:
    return sorted(to_string(one) for one in _list(values))


def _split(separator: Any, text: Any) -> list[str]:
    mark, value = to_string(separator), to_string(text)
    return value.split(mark) if mark else list(value)


def _zipmap(keys: Any, values: Any) -> dict[str, Any]:
    names, items = _list(keys), _list(values)
    if len(names) != len(items):
        raise ValueProblem(
            f"number of keys ({len(names)}) does not match number of values ({len(items)})"
        )
    return dict(sorted((to_string(name), item) for name, item in zip(names, items, strict=True)))


def _setproduct(*lists: Any) -> Any:
    if len(lists) < 2:
        raise ValueProblem("at least two arguments are required")
    found = [list(one) for one in itertools.product(*map(_list, lists))]
    return Set.of(found) if all(isinstance(one, Set) for one in lists) else found


def _setintersection(first: Any, *others: Any) -> Set:
    return Set.of([one for one in _list(first) if all(_contains(part, one) for part in others)])


def _setsubtract(first: Any, other: Any) -> Set:
    return Set.of([one for one in _list(first) if not _contains(other, one)])


def _setunion(*lists: Any) -> Set:
    return Set.of([one for part in lists for one in _list(part)])


def _symmetric(*lists: Any) -> Set:
    found: list[Any] = []
    for part in lists:
        items = Set.of(_list(part))
        found = [one for one in found if not _contains(items, one)] + [
            one for one in items if not _contains(found, one)
        ]
    return Set.of(found)


def json_text(value: Any) -> str:
    """A value as cty writes JSON: compact, keys sorted, ``<>&`` escaped as Go does."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _jsondecode(text: Any) -> Any:
    try:
        return json.loads(to_string(text))
    except ValueError as error:
        raise ValueProblem(f"invalid JSON: {error}") from None


def _compact(values: Any) -> list[Any]:
    return [one for one in _list(values) if one not in (None, "")]


def _concat(*lists: Any) -> list[Any]:
    return [one for part in lists for one in _list(part)]


COLLECTIONS: dict[str, Callable[..., Any]] = {
    "chunklist": _chunklist,
    "coalesce": _coalesce,
    "coalescelist": _coalescelist,
    "compact": _compact,
    "concat": _concat,
    "contains": _contains,
    "csvdecode": _csvdecode,
    "distinct": _distinct,
    "element": _element,
    "flatten": _flatten,
    "hasindex": _hasindex,
    "index": _index,
    "indexof": _indexof,
    "join": _join,
    "jsondecode": _jsondecode,
    "jsonencode": json_text,
    "keys": lambda value: sorted(_map(value)),
    "length": _length,
    "lookup": _lookup,
    "merge": _merge,
    "range": _range,
    "reverselist": _reversed,
    "sethaselement": _contains,
    "setintersection": _setintersection,
    "setproduct": _setproduct,
    "setsubtract": _setsubtract,
    "setsymmetricdifference": _symmetric,
    "setunion": _setunion,
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "values": lambda value: [_map(value)[key] for key in sorted(_map(value))],
    "zipmap": _zipmap,
}
