"""JSON as encoding/json writes it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from pierhead.cli.gotemplate.json_text import compact, encode, encode_string, indent
from pierhead.cli.gotemplate.values import Duration, GoList, GoMap, GoStruct, GoTime, Number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": None}, '{"a":null,"b":1}'),
        ([True, 1.0, 1e21, 1e-7, 100000000.0], "[true,1,1e+21,1e-7,100000000]"),
        (Number("1.50"), "1.50"),
        (Duration(5), "5"),
        (GoTime("2026-01-01T00:00:00Z"), '"2026-01-01T00:00:00Z"'),
        (
            GoStruct("x", {"B": 1, "A": "", "C": GoList()}, names={"B": "b"}, omit=frozenset("A")),
            '{"b":1,"C":[]}',
        ),
    ],
)
def test_encode(value: Any, text: str) -> None:
    assert encode(value) == text


def test_nil_slices_and_maps_are_null() -> None:
    items, labels = GoList(), GoMap()
    items.is_nil = labels.is_nil = True
    assert encode([items, labels]) == "[null,null]"


def test_escapes() -> None:
    text = '<&>"\\\b\f\n\r\t\x01\u2028ü'
    escaped = '"\\\\\\b\\f\\n\\r\\t\\u0001\\u2028ü"'
    assert encode_string(text) == '"\\u003c\\u0026\\u003e\\' + escaped
    assert encode_string(text, html=False) == '"<&>\\' + escaped
    assert encode_string("\udc80") == '"\\ufffd"'


def test_indent_and_compact_keep_tokens() -> None:
    source = '{ "a" : [ ] ,"b":{},"c":[1.50,{"d\\"":"\\u003c, :"}],"e":1e5}'
    assert compact(source) == '{"a":[],"b":{},"c":[1.50,{"d\\"":"\\u003c, :"}],"e":1e5}'
    assert indent(source, "  ") == (
        '{\n  "a": [],\n  "b": {},\n  "c": [\n    1.50,\n    {\n'
        '      "d\\"": "\\u003c, :"\n    }\n  ],\n  "e": 1e5\n}'
    )


@pytest.mark.parametrize("seed", range(5))
def test_against_json(seed: int) -> None:
    dice = random.Random(seed)

    def value(depth: int) -> Any:
        if depth == 0 or dice.random() < 0.3:
            return dice.choice([None, True, 1, 2.5, "x\\", '"', "a\nb", "\\\\"])
        if dice.random() < 0.5:
            return [value(depth - 1) for _ in range(dice.randint(0, 3))]
        return {f"k{at}\\": value(depth - 1) for at in range(dice.randint(0, 3))}

    for _ in range(50):
        made = value(4)
        assert indent(json.dumps(made)) == json.dumps(made, indent=4)
        assert json.loads(encode(made)) == made
