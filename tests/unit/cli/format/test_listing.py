from __future__ import annotations

import sys

import pytest

from pierhead.cli.format.listing import DictRow, Row, print_list, render, simple_parts
from pierhead.cli.gotemplate import TemplateError
from support.fake_cli import FakeCli, FakeClient

HEADERS = {"Name": "NAME", "Size": "SIZE"}


class Thing(Row):
    GO_TYPE = "*test.Thing"
    METHOD_ARGUMENTS = {"Label": ("string",)}

    def __init__(self, name: str) -> None:
        self._name = name

    def Name(self) -> str:
        return self._name

    def Size(self) -> str:
        return "1<2"

    def Label(self, name: str) -> str:
        return f"label {name}"


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("table {{.Name}}\t{{.Size}}", "NAME      SIZE\na         1<2\nb         1<2\n"),
        (r"table {{.Name}}\t{{.Size}}", "NAME      SIZE\na         1<2\nb         1<2\n"),
        ("{{.Name}}", "a\nb\n"),
        ("x{{.Name}}y", "xay\nxby\n"),
        ("{{upper .Name}}", "A\nB\n"),
        ('{{.Label "x"}}', "label x\nlabel x\n"),
        ("json", '{"Name":"a","Size":"1\\u003c2"}\n{"Name":"b","Size":"1\\u003c2"}\n'),
        ("{{json .Size}}", '"1<2"\n"1<2"\n'),
        (
            'table {{.Name}}\t{{.Label "com.my-label"}}',
            "NAME      my label\na         label com.my-label\nb         label com.my-label\n",
        ),
        ("table", "\n\n\n"),
        ("plain", "plain\nplain\n"),
    ],
)
def test_formats(source: str, out: str) -> None:
    assert render(source, [Thing("a"), Thing("b")], HEADERS) == out


def test_a_header_without_rows() -> None:
    assert render("table {{.Name}}\t{{.Nope}}", [], HEADERS) == "NAME      <no value>\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{.Nope}}", "can't evaluate field Nope in type *test.Thing"),
        ("{{.Name", "template parsing error: template: :1: unclosed action"),
        ("{{.Label}}", "wrong number of args for Label: want 1 got 0"),
        ("{{.go_json}}", "can't evaluate field go_json in type *test.Thing"),
    ],
)
def test_errors(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(source, [Thing("a")], HEADERS)
    assert str(caught.value).startswith("template parsing error: template: :1")
    assert message in str(caught.value)


def test_simple_templates_are_recognised() -> None:
    assert simple_parts("a{{.B}}c") == [("a", "B"), ("c", "")]
    assert simple_parts("{{ .B }}") is None
    assert simple_parts("{{.B | x}}") is None
    assert simple_parts("{{.B") is None


def test_default_tables_need_no_template_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pierhead.cli.gotemplate", None)
    assert render("table {{.Name}}", [Thing("a")], HEADERS) == "NAME\na\n"


def test_dict_rows() -> None:
    cli = FakeCli("x", FakeClient({}, "1.56"), {}, "")
    rows = [{"Name": "a", "Size": "1"}]
    for options, out in (
        ({"format": ""}, "NAME\na\n"),
        ({"format": "json"}, '{"Name":"a","Size":"1"}\n'),
        ({"format": "{{.Size}}", "quiet_field": "Name"}, "a\n"),
    ):
        cli.written.clear()
        print_list(cli, rows, table="table {{.Name}}", headers=HEADERS, **options)  # type: ignore[arg-type]
        assert b"".join(cli.written).decode() == out
    assert DictRow({}, "*a.B").GO_TYPE == "*a.B"
