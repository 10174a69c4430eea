from __future__ import annotations

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.format.inspect import Inspector, load_raw, make_inspector, print_inspect
from pierhead.cli.gotemplate import Number, TemplateError
from support.fake_cli import FakeCli, FakeClient

RAW = b'{"Id":"abc","Created":"x","Size":12,"Config":{"Labels":{"a":"<b>"},"Odd":1.50}}\n'


def show(template: str, kind: str = "image") -> str:
    inspector = Inspector(template)
    inspector.add(RAW, kind)
    return inspector.flush()


def test_json_keeps_the_daemons_text() -> None:
    assert show("json") == "[" + RAW.decode().strip() + "]\n"
    assert show("") == (
        '[\n    {\n        "Id": "abc",\n        "Created": "x",\n        "Size": 12,\n'
        '        "Config": {\n            "Labels": {\n                "a": "<b>"\n'
        '            },\n            "Odd": 1.50\n        }\n    }\n]\n'
    )


def test_nothing_to_show() -> None:
    assert Inspector("").flush() == "[]\n"
    assert Inspector("{{.}}").flush() == "\n"


@pytest.mark.parametrize(
    ("template", "out"),
    [
        ("{{.ID}}", "abc\n"),
        ("{{.Id}}", "abc\n"),
        ("{{.Size}}", "12\n"),
        ('{{index .Config.Labels "a"}}', "<b>\n"),
        ("{{.Config.Odd}}", "1.50\n"),
        ("{{json .Config.Labels}}", '{"a":"<b>"}\n'),
    ],
)
def test_go_names_first_then_json_names(template: str, out: str) -> None:
    assert show(template) == out


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Foo}}", 'executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.Id.x}}", "can't evaluate field x in type interface {}"),
    ],
)
def test_errors(template: str, message: str) -> None:
    with pytest.raises(TemplateError, match="template parsing error: template: :1") as caught:
        show(template)
    assert message in str(caught.value)


def test_a_volume_is_shown_as_docker_understands_it() -> None:
    inspector = Inspector("", typed_only=True)
    inspector.add(b'{"Name":"v","Driver":"local","Labels":null,"Extra":1}', "volume")
    assert inspector.flush() == (
        '[\n    {\n        "Driver": "local",\n        "Labels": null,\n        "Mountpoint": "",\n'
        '        "Name": "v",\n        "Options": null,\n        "Scope": ""\n    }\n]\n'
    )


def test_a_bad_template_is_exit_code_64() -> None:
    with pytest.raises(CliError, match="template parsing error: template: :1: unclosed") as caught:
        make_inspector("{{.A")
    assert caught.value.code == 64


def test_raw_numbers_keep_their_text() -> None:
    assert load_raw('{"a":[1.50,1e5]}') == {"a": [Number("1.50"), Number("1e5")]}


def test_print_inspect_goes_on_after_an_error() -> None:
    cli = FakeCli("x", FakeClient({}, "1.56"), {}, "")
    with pytest.raises(CliError, match='no entry for key "b"'):
        print_inspect(cli, [{"a": 1, "b": 2}, {"a": 1}], format="{{.b}}")  # type: ignore[arg-type]
    assert b"".join(cli.written) == b"2\n"


def test_simple_paths_need_no_template_language(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pierhead.cli.gotemplate.template", None)
    assert show("{{.Id}}: {{.Size}} {{.Config.Labels.a}}") == "abc: 12 <b>\n"


def test_times_and_durations_are_never_taken_from_the_text() -> None:
    inspector = Inspector("{{.Created}}")
    inspector.add('{"Created":"2026-05-07T21:09:36Z"}', "network")
    assert inspector.flush() == "2026-05-07 21:09:36 +0000 UTC\n"
