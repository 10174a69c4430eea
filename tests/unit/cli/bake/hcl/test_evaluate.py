from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.hcl.evaluate import Scope, evaluate, suggestion
from pierhead.cli.bake.hcl.functions import table
from pierhead.cli.bake.hcl.nodes import HclError
from pierhead.cli.bake.hcl.parser import parse

NAMES = {"n": 3, "s": "x", "l": ["a", "b"], "o": {"k": {"z": 1}}, "none": None, "t": True}


def value(text: str) -> Any:
    scope = Scope(NAMES, functions=lambda name: table()[name])
    return evaluate(parse("f", f"a = {text}\n").attributes["a"].expression, scope)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1 + 2 * 3 - 4 / 2", 5),
        ("(1 + 2) * 3", 9),
        ("10 / 4", 2.5),
        ("7 % 3", 1),
        ("-7 % 3", -1),
        ("-n", -3),
        ('"2" + 1', 3),
        ('1 == "1"', False),
        ("1 == 1.0", True),
        ("t != false", True),
        ("!t || n >= 3 && n < 4", True),
        ('n > 2 ? "big" : "small"', "big"),
        ("l[1]", "b"),
        ("l.0", "a"),
        ("o.k.z", 1),
        ('o["k"]["z"]', 1),
        ("[o, o][*].k.z", [1, 1]),
        ("[o, o].*.k", [{"z": 1}, {"z": 1}]),
        ("none[*]", []),
        ("n[*]", [3]),
        ('[for x in l : upper(x) if x != "a"]', ["B"]),
        ("[for i, x in l : i]", [0, 1]),
        ("{for x in l : x => upper(x)}", {"a": "A", "b": "B"}),
        ('{for x in ["a1", "a2"] : substr(x, 0, 1) => x...}', {"a": ["a1", "a2"]}),
        ('{for k, v in {a = 1} : "${k}!" => v + 1}', {"a!": 2}),
        ("max([1, 5, 2]...)", 5),
        ('try(jsondecode("{"), "no")', "no"),
        ('can(jsondecode("{"))', False),
        ("can(n)", True),
        ('convert("5", number)', 5),
        ('convert(["a", "a"], set(string))', ["a"]),
        ("1e3", 1000),
        ("[1,\n 2]", [1, 2]),
        ("t ?\n1 :\n2", 1),
        ("{a = 1\n b = 2}", {"a": 1, "b": 2}),
    ],
)
def test_expressions(text: str, found: Any) -> None:
    assert value(text) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nn", 'There is no variable named "nn".'),
        ("uper(s)", 'There is no function named "uper". Did you mean "upper"?'),
        ("upper()", "Wrong number of function arguments"),
        ("l[5]", "does not identify an element"),
        ("o.x", "does not have an attribute"),
        ("s.x", "Can't access attributes"),
        ("none.x", "Attempt to get attribute from null"),
        ("none[0]", "Attempt to index null value"),
        ("n ? 1 : 2", "Incorrect condition type"),
        ("none ? 1 : 2", "Null condition"),
        ('"x" + 1', "a number is required"),
        ("1 / 0", "Division by zero"),
        ('"a${none}"', "Cannot include a null value"),
        ('"a${l}"', "Cannot include the given value"),
        ("[for x in n : x]", "non-iterable"),
        ("{for x in [1, 1] : x => x}", "Duplicate object key"),
        ("max(1...)", "Invalid expanding argument"),
        ("try(nope)", "no expression succeeded"),
        ("base64decode(1)", "failed"),
    ],
)
def test_faults(text: str, told: str) -> None:
    with pytest.raises(HclError) as fault:
        value(text)
    assert told in str(fault.value)


def test_suggestions() -> None:
    assert suggestion("tgas", ["tags", "args"]) == ' Did you mean "tags"?'
    assert suggestion("zzz", ["tags"]) == ""
