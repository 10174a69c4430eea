from __future__ import annotations

import pytest

from pierhead.cli.bake.hcl import nodes
from pierhead.cli.bake.hcl.evaluate import Scope, evaluate
from pierhead.cli.bake.hcl.jsonfile import expression, parse

BLOCKS = {"target": 1, "variable": 1}


def test_blocks_and_templates() -> None:
    text = '{"target": {"a": {"tags": ["x:${V}"], "n": 1.0}, "b": [{"p": true}]}, "g": null}'
    body = parse("f", text, BLOCKS)
    assert [(block.type, block.labels) for block in body.blocks] == [
        ("target", ("a",)),
        ("target", ("b",)),
    ]
    tags = body.blocks[0].body.attributes["tags"].expression
    assert evaluate(tags, Scope({"V": "1"})) == ["x:1"]
    assert evaluate(body.blocks[0].body.attributes["n"].expression, Scope()) == 1
    assert evaluate(body.attributes["g"].expression, Scope()) is None


def test_validations_are_blocks() -> None:
    text = '{"variable": {"V": {"validation": {"condition": "${true}"}}}}'
    [block] = parse("f", text, BLOCKS).blocks[0].body.blocks
    assert block.type == "validation"


@pytest.mark.parametrize("text", ["{", "[]", '{"target": {"a": {"t": "${"}}}'])
def test_faults(text: str) -> None:
    with pytest.raises(nodes.HclError):
        parse("f", text, BLOCKS)


def test_types_in_texts() -> None:
    assert isinstance(expression("list(string)", "f"), nodes.Call)
