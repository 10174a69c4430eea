from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.hcl import values
from pierhead.cli.bake.hcl.values import Set, ValueProblem, convert, same, to_string


@pytest.mark.parametrize(
    ("value", "type", "found"),
    [
        (1, "string", "1"),
        (True, "string", "true"),
        (0.1, "string", "0.1"),
        (1e-7, "string", "0.0000001"),
        (1e21, "string", "1000000000000000000000"),
        ("12", "number", 12),
        ("1.50", "number", 1.5),
        ("true", "bool", True),
        ([1, 2], ("list", "string"), ["1", "2"]),
        (["b", "a", "b"], ("set", "string"), ["a", "b"]),
        ({"a": 1}, ("map", "string"), {"a": "1"}),
        ([1, "x"], ("tuple", ["string", "string"]), ["1", "x"]),
        ({"a": 1, "b": 2}, ("object", {"a": "string"}), {"a": "1"}),
        (None, "string", None),
        ([1], "any", [1]),
    ],
)
def test_conversions(value: Any, type: Any, found: Any) -> None:
    assert convert(value, type) == found


@pytest.mark.parametrize(
    ("value", "type", "told"),
    [
        ([], "string", "string required"),
        ("x", "number", "a number is required"),
        (True, "number", "a number is required"),
        ("True", "bool", "use lowercase"),
        ("x", ("list", "string"), "list of string required"),
        ([1], ("tuple", []), "tuple of 0 elements required"),
        ({}, ("object", {"a": "string"}), 'attribute "a" is required'),
        ([], ("map", "string"), "map of string required"),
    ],
)
def test_what_cannot_be_converted(value: Any, type: Any, told: str) -> None:
    with pytest.raises(ValueProblem, match=told):
        convert(value, type)


def test_sameness() -> None:
    assert not same(1, True) and not same(1, "1") and same(1, 1.0)
    assert same({"a": [1]}, {"a": [1]}) and not same([1], [1, 2])


def test_sets() -> None:
    assert Set.of(["b", "a", "b"]) == ["a", "b"] and Set.of([2, 1]) == [1, 2]
    assert values.kind(Set.of([])) == "set"
    assert values.friendly(("list", "string")) == "list of string"
    with pytest.raises(ValueProblem, match="have null"):
        to_string(None)
