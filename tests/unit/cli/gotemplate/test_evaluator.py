"""Whole templates against what Go's own ``text/template`` said.

``vectors.json`` was produced by Go 1.26 with docker's functions: ``[template, data,
mode, output, error]``; mode 1 decodes numbers as ``json.Number`` and has
``missingkey=error``, as ``docker inspect`` falls back to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.gotemplate import Number, TemplateError, parse
from pierhead.cli.gotemplate.values import GoInt, GoList, GoMap, GoStruct, NilPointer

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())


def run(template: str, data: Any, *, strict: bool = False) -> tuple[str, str]:
    try:
        return parse(template).execute(data, missing_key_error=strict), ""
    except TemplateError as error:
        return error.partial, str(error)


def test_vectors() -> None:
    wrong = []
    for template, data, mode, out, error in VECTORS["cases"]:
        number: Any = Number if mode else float
        decoded = json.loads(VECTORS["data"][data], parse_int=number, parse_float=number)
        if run(template, decoded, strict=bool(mode)) != (out, error):
            wrong.append((template, out, error, run(template, decoded, strict=bool(mode))))
    assert not wrong


STATE = GoStruct(
    "container.State", {"Running": True, "Pid": 42, "Health": NilPointer("container.Health")}
)
STRUCT = GoStruct(
    "container.InspectResponse",
    {
        "Base": GoStruct("container.Base", {"ID": "abc", "Port": GoInt(80, "uint16")}),
        "State": STATE,
        "Env": GoList(["A=1"], "[]string"),
        "Labels": GoMap({"b": "2", "a": "1"}),
    },
    names={"Env": "env"},
    omit=frozenset({"Labels"}),
    inline=("Base",),
)


@pytest.mark.parametrize(
    ("template", "out"),
    [
        ("{{.ID}} {{.Base.ID}}", "abc abc"),
        ("{{.State.Pid}} {{.State}}", "42 {true 42 <nil>}"),
        ('{{index .Labels "a"}}|{{index .Labels "nope"}}|{{.Labels}}', "1||map[a:1 b:2]"),
        (
            "{{json .}}",
            '{"ID":"abc","Port":80,"State":{"Running":true,"Pid":42,"Health":null},'
            '"env":["A=1"],"Labels":{"a":"1","b":"2"}}',
        ),
        ("{{if .State.Health}}x{{else}}none{{end}}", "none"),
        ("{{eq .Port 80}} {{eq .State.Health nil}}", "true true"),
        ("{{range .Env}}{{.}};{{end}}{{range $k, $v := .Labels}}{{$k}}{{$v}}{{end}}", "A=1;a1b2"),
        ('{{join .Env ","}}', "A=1"),
    ],
)
def test_structs(template: str, out: str) -> None:
    assert run(template, STRUCT) == (out, "")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Foo}}", "can't evaluate field Foo in type container.InspectResponse"),
        ("{{.State.Health.Status}}", "nil pointer evaluating *container.Health.Status"),
        ("{{.ID.x}}", "can't evaluate field x in type string"),
        ("{{upper .Port}}", "wrong type for value; expected string; got uint16"),
        ('{{.ID "x"}}', "ID has arguments but cannot be invoked as function"),
    ],
)
def test_struct_errors(template: str, message: str) -> None:
    assert run(template, STRUCT)[1].endswith(message)


def test_a_template_that_calls_itself_ends() -> None:
    out, error = run('{{define "t"}}x{{template "t"}}{{end}}{{template "t"}}', None)
    assert out.startswith("xxx")
    assert "exceeded maximum template depth" in error


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    assert "max expression depth exceeded" in run("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", 1)[1]
    assert "max expression depth" in run("{{if 1}}" * 3000 + "{{end}}" * 3000, 1)[1]
    assert run("{{/* c */}}" * 5000 + "x", 1) == ("x", "")
