from __future__ import annotations

from support.fake_cli import run


def test_errors_come_after_what_could_be_shown() -> None:
    answers = {"GET /networks/a": {"Name": "a"}, "GET /networks/b": (404, "network b not found")}
    result = run("network inspect a b", answers)
    assert result.code == 1
    assert result.out == '[\n    {\n        "Name": "a"\n    }\n]\n'
    assert result.err == "Error response from daemon: network b not found\n"


def test_template_errors_are_collected() -> None:
    result = run("network inspect -f {{.Foo}} a", {"GET /networks/a": {"Name": "a"}})
    assert (result.code, result.out) == (1, "\n")
    assert result.err == (
        'template parsing error: template: :1:2: executing "" at <.Foo>: '
        'map has no entry for key "Foo"\n'
    )
    assert run("network inspect -f {{.Foo a").code == 64
