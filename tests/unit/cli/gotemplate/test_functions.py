"""Go's own functions beyond what the vectors cover."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.gotemplate import TemplateError, parse
from pierhead.cli.gotemplate.values import GoInt, GoList


@pytest.mark.parametrize(
    ("template", "data", "out"),
    [
        ("{{eq . 5}}", GoInt(5, "uint64"), "true"),
        ("{{lt . 6}}", GoInt(5, "int64"), "true"),
        ("{{index . 1}}", GoList(["a", "b"]), "b"),
        ("{{slice . 1}}", GoList(["a", "b"]), "[b]"),
        ("{{len .}}", "é", "2"),
        ("{{index . 0}}", "é", "195"),
        ("{{html .}}", "<&'\"\0", "&lt;&amp;&#39;&#34;\ufffd"),
        ("{{js .}}", "'\"<>&=\\\n\u200b", "\\'\\\"\\u003C\\u003E\\u0026\\u003D\\\\\\u000A\\u200B"),
        ("{{urlquery .}}", "a b/ü", "a+b%2F%C3%BC"),
        ("{{not .}}{{and 1 0}}{{or 0 2}}", None, "true02"),
    ],
)
def test_results(template: str, data: Any, out: str) -> None:
    assert parse(template).execute(data) == out


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{eq 1}}", "missing argument for comparison"),
        ('{{eq 1 "a"}}', "incompatible types for comparison: int and string"),
        ("{{lt true false}}", "invalid type for comparison"),
        ("{{slice . 2 1}}", "invalid slice index: 2 > 1"),
        ("{{slice . 0 1 2}}", "cannot 3-index slice a string"),
        ("{{slice . 0 1 2 3}}", "too many slice indexes: 4"),
        ("{{index . 99}}", "index out of range: 99"),
        ('{{index . "a"}}', "cannot index slice/array with type string"),
        ("{{len 3}}", "len of type int"),
    ],
)
def test_errors(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(template).execute("abc")
    assert str(caught.value).endswith(message)


def test_short_circuit() -> None:
    assert parse("{{or 1 (index . 99)}}{{and 0 (index . 99)}}").execute("x") == "10"
