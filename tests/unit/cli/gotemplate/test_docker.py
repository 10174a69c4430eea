"""docker's extra functions, and their stand-ins for table headers."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.gotemplate import TemplateError, parse
from pierhead.cli.gotemplate.docker import HEADER_FUNCTIONS


@pytest.mark.parametrize(
    ("template", "data", "out"),
    [
        ("{{json .}}", {"b": "<&>", "a": [1, None]}, '{"a":[1,null],"b":"<&>"}'),
        ('{{split . ":"}}', "a:b", "[a b]"),
        ('{{split . ""}}', "ab", "[a b]"),
        ('{{join . "-"}}', ["a", 1, None], "a-1-<nil>"),
        ('{{join . "-"}}', {"x": "b", "y": "a"}, "a-b"),
        ('{{join .X "-"}}', {}, ""),
        ("{{title .}}", "hello wörld foo-bar x_y", "Hello Wörld Foo-Bar X_y"),
        ("{{upper .}}{{lower .}}", "aßB", "AßBaßb"),
        ("{{pad . 1 2}}|", "x", " x  |"),
        ("{{pad . 1 2}}|", "", "|"),
        ("{{truncate . 2}}", "abc", "ab"),
        ("{{truncate . 9}}", "abc", "abc"),
    ],
)
def test_results(template: str, data: Any, out: str) -> None:
    assert parse(template).execute(data) == out


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ('{{join . ","}}', "error calling join: expected slice, got string"),
        ("{{truncate . -1}}", "runtime error: slice bounds out of range [:-1]"),
        ("{{pad . -1 0}}", "strings: negative Repeat count"),
        ("{{split .}}", "wrong number of args for split: want 2 got 1"),
    ],
)
def test_errors(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(template).execute("abc")
    assert str(caught.value).endswith(message)


def test_headers_stay_as_they_are() -> None:
    template = parse('{{upper .A}} {{truncate .A 1}} {{json .A}} {{join .A ","}} {{pad .A 1 0}}')
    assert (
        template.execute({"A": "Name"}, functions=HEADER_FUNCTIONS) == "Name Name Name Name  Name"
    )
