"""Fuzz: whatever the text, the parser says what is wrong and nothing else breaks."""

from __future__ import annotations

import random

import pytest

from pierhead.cli.gotemplate import TemplateError, parse
from pierhead.cli.gotemplate.functions import BUILTINS
from pierhead.cli.gotemplate.parser import parse as parse_trees

PIECES = (
    "{{ }} {{- -}} {{/* */}} {{end}} {{else}} {{if .A}} {{range .L}} {{with .M}} {{break}} "
    '{{define "x"}} {{block "y" .}} {{template "x" .}} .A .L .M $ $x := = , | ( ) "s" `r` \'c\' '
    '1 1.5 0x1F 1i nil true . printf "%d" "%*v" len index slice and or eq json é \n \\ " \' ` @ -'
).split(" ")


@pytest.mark.parametrize("seed", range(8))
def test_any_text(seed: int) -> None:
    dice = random.Random(seed)
    data = {"A": "x", "L": [1, None, {"k": "v"}], "M": {"a": 1.5}}
    for _ in range(400):
        between = dice.choice(["", " "])
        text = between.join(dice.choice(PIECES) for _ in range(dice.randint(1, 14)))
        for source in (text, "{{" + text + "}}"):
            try:
                parse(source).execute(data, missing_key_error=dice.random() < 0.5)
            except TemplateError as error:
                assert str(error).startswith("template: :")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{.A", "template: :1: unclosed action"),
        ("\n{{\n.A", "template: :3: unclosed action started at :2"),
        ("{{nofunc}}", 'template: :1: function "nofunc" not defined'),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{if .A}}", "template: :1: unexpected EOF"),
        ("{{if}}{{end}}", "template: :1: missing value for if"),
        ("{{.A | 1}}", "template: :1: non executable command in pipeline stage 2"),
        ("{{$x}}", 'template: :1: undefined variable "$x"'),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        ("{{1.x}}", 'template: :1: bad number syntax: "1.x"'),
        ('{{"a".b}}', 'template: :1: unexpected . after term "\\"a\\""'),
        ("{{a_long_name_x }}x", 'template: :1: function "a_long_name_x" not defined'),
        ("{{template .}}", "template: :1: unexpected <.> in template clause"),
    ],
)
def test_errors(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(source)
    assert str(caught.value) == message


def test_definitions_are_trees_of_their_own() -> None:
    trees = parse_trees('{{define "a"}}x{{end}}{{block "b" .}}y{{end}}', "main", BUILTINS)
    assert sorted(trees) == ["a", "b", "main"]
    assert str(trees["main"].root) == '{{template "b" .}}'
