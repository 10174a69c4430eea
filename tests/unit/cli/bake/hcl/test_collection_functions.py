from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.hcl.collection_functions import COLLECTIONS
from pierhead.cli.bake.hcl.values import Set, ValueProblem


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("chunklist", ([1, 2, 3], 2), [[1, 2], [3]]),
        ("chunklist", ([1], 0), [[1]]),
        ("coalesce", (None, "b"), "b"),
        ("coalescelist", ([], [1]), [1]),
        ("compact", (["a", "", None, "b"],), ["a", "b"]),
        ("concat", (["a"], ["b"]), ["a", "b"]),
        ("contains", (["a"], "a"), True),
        ("contains", ([1], "1"), False),
        ("csvdecode", ("a,b\n1,2",), [{"a": "1", "b": "2"}]),
        ("distinct", ([1, 1, "1"],), [1, "1"]),
        ("element", (["x", "y"], 3), "y"),
        ("flatten", ([[1, [2]], 3],), [1, 2, 3]),
        ("hasindex", (["a"], 0), True),
        ("hasindex", ({"a": 1}, "b"), False),
        ("index", ({"a": 1}, "a"), 1),
        ("indexof", (["a", "b"], "b"), 1),
        ("join", (",", ["a"], ["b", 1]), "a,b,1"),
        ("jsondecode", ('{"a":[1,2.5,null]}',), {"a": [1, 2.5, None]}),
        ("jsonencode", ({"b": "<é>", "a": 1},), '{"a":1,"b":"\\u003cé\\u003e"}'),
        ("keys", ({"b": 1, "a": 2},), ["a", "b"]),
        ("values", ({"b": 1, "a": 2},), [2, 1]),
        ("length", ({"a": 1},), 1),
        ("lookup", ({"a": 1}, "b", "d"), "d"),
        ("merge", ({"a": 1}, None, {"a": 2}), {"a": 2}),
        ("range", (3,), [0, 1, 2]),
        ("range", (1, 10, 3), [1, 4, 7]),
        ("range", (3, 1), [3, 2]),
        ("reverselist", ([1, 2],), [2, 1]),
        ("slice", (["a", "b", "c"], 1, 2), ["b"]),
        ("sort", (["b", "a"],), ["a", "b"]),
        ("split", (",", "a,b"), ["a", "b"]),
        ("split", ("", "ab"), ["a", "b"]),
        ("zipmap", (["a"], [1]), {"a": 1}),
        ("setproduct", (["a", "b"], [1]), [["a", 1], ["b", 1]]),
        ("setunion", (["b"], ["a", "b"]), ["a", "b"]),
        ("setintersection", (["a", "b"], ["b"]), ["b"]),
        ("setsubtract", (["a", "b"], ["a"]), ["b"]),
        ("setsymmetricdifference", (["a", "b"], ["b", "c"]), ["a", "c"]),
        ("sethaselement", (Set.of(["a"]), "a"), True),
    ],
)
def test_functions(name: str, arguments: tuple[Any, ...], found: Any) -> None:
    assert COLLECTIONS[name](*arguments) == found


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("chunklist", ([1], -1)),
        ("coalesce", ()),
        ("coalescelist", ([],)),
        ("csvdecode", ("",)),
        ("element", ([], 0)),
        ("element", (["a"], -1)),
        ("index", (["a"], 5)),
        ("indexof", ([], 1)),
        ("indexof", (["a"], 1)),
        ("join", (",",)),
        ("jsondecode", ("{",)),
        ("length", (1,)),
        ("lookup", ({}, "a")),
        ("range", (1, 2, 0)),
        ("range", (10**6,)),
        ("range", ()),
        ("slice", (["a"], 0, 5)),
        ("zipmap", (["a"], [])),
        ("setproduct", (["a"],)),
        ("keys", ([],)),
        ("sort", ("x",)),
    ],
)
def test_refusals(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueProblem):
        COLLECTIONS[name](*arguments)
