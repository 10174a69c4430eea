from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.target import BakeProblem
from pierhead.cli.bake.variables import from_text, shown


@pytest.mark.parametrize(
    ("text", "type", "default", "as_json", "found"),
    [
        ("x", None, None, False, "x"),
        ("5", None, 1, False, 5),
        ("1.5", None, 1, False, 1.5),
        ("t", None, False, False, True),
        ("5", "string", None, False, "5"),
        ("5", "any", None, False, "5"),
        ("a,b", ("list", "string"), None, False, ["a", "b"]),
        ("b,a,b", ("set", "string"), None, False, ["a", "b"]),
        ("1,x", ("tuple", ["number", "string"]), None, False, [1, "x"]),
        ("a:1,b:2", ("map", "number"), None, False, {"a": 1, "b": 2}),
        ('{"a": 1}', ("object", {"a": "number"}), None, True, {"a": 1}),
    ],
)
def test_texts(text: str, type: Any, default: Any, as_json: bool, found: Any) -> None:
    value = from_text("V", text, type, default, has_default=default is not None, as_json=as_json)
    assert value == found


@pytest.mark.parametrize(
    ("text", "type", "default", "told"),
    [
        ("x", None, 1, "failed to parse V as number"),
        ("inf", "number", None, "failed to parse V as number"),
        ("x", "bool", None, "failed to parse V as bool"),
        ("x", None, ["a"], "unsupported type tuple for variable V"),
        ("x", ("object", {}), None, "unsupported type object for variable V"),
        ("a", ("tuple", []), None, "tuple expects 0 elements but only 1 provided"),
        ("a", ("map", "string"), None, "expected one k/v pair but got 1 pieces from a"),
        ("a", ("list", ("list", "string")), None, "for CSV specification"),
    ],
)
def test_what_cannot_be(text: str, type: Any, default: Any, told: str) -> None:
    with pytest.raises(BakeProblem) as problem:
        from_text("V", text, type, default, has_default=default is not None, as_json=False)
    assert told in str(problem.value)


def test_broken_json() -> None:
    with pytest.raises(BakeProblem, match="failed to convert variable V from JSON"):
        from_text("V", "{", "string", None, has_default=False, as_json=True)


def test_lists_of_variables() -> None:
    assert [shown(value) for value in ("x", True, 1.5, ["a"], {"a": 1})] == [
        "x",
        "true",
        "1.5",
        '["a"]',
        '{"a":1}',
    ]
