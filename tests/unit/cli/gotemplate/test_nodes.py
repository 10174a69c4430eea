"""Nodes print as Go prints them, since errors quote them."""

from __future__ import annotations

import pytest

from pierhead.cli.gotemplate.docker import FUNCTIONS
from pierhead.cli.gotemplate.functions import BUILTINS
from pierhead.cli.gotemplate.parser import parse


@pytest.mark.parametrize(
    "source",
    [
        "{{.A.B}}",
        "{{$x := .A}}{{$x.B}}",
        "{{range $i, $e := .L}}{{$i}}{{break}}{{else}}{{.}}{{end}}",
        '{{printf "%d" (len .A) | upper}}',
        "{{(index .L 0).Name}}",
        "{{if and .A (not .B)}}{{nil | json}}{{end}}",
        '{{template "x" .A}}',
        "{{with .A}}{{.}}{{end}}",
        "{{1.50}}{{true}}{{'a'}}{{`raw`}}",
    ],
)
def test_round_trip(source: str) -> None:
    trees = parse(source.replace("{{nil | json}}", "{{json nil}}"), "", {**BUILTINS, **FUNCTIONS})
    assert str(trees[""].root) == source.replace("{{nil | json}}", "{{json nil}}")


def test_else_if_is_an_if_inside_else() -> None:
    root = parse("{{if .A}}a{{else if .B}}b{{end}}", "", BUILTINS)[""].root
    assert str(root) == '{{if .A}}"a"{{else}}{{if .B}}"b"{{end}}{{end}}'


def test_emptiness() -> None:
    assert parse(" \n", "", BUILTINS)[""].root.is_empty()
    assert not parse("x", "", BUILTINS)[""].root.is_empty()
