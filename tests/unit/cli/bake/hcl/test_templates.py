from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.hcl.evaluate import Scope, evaluate
from pierhead.cli.bake.hcl.parser import parse


def value(text: str) -> Any:
    return evaluate(parse("f", f"a = {text}\n").attributes["a"].expression, Scope({"n": 3}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"a${n}b"', "a3b"),
        ('"${n}"', 3),
        ('"$${n} %%{x} $n"', "${n} %{x} $n"),
        (r'"\t\"\\\u00e9"', '\t"\\é'),
        ('"%{ if n > 2 }big%{ else }small%{ endif }"', "big"),
        ('"%{ for i, x in ["a","b"] }${i}${x} %{ endfor }"', "0a 1b "),
        ('"a ${~ n ~} b"', "a3b"),
        ('"%{ for x in [1,2] ~} ${x} %{~ endfor }"', "12"),
        ("<<E\n  a\n  ${n}\nE", "  a\n  3\n"),
        ("<<-E\n    a\n      b ${n}\n    E", "a\n  b 3\n"),
        ("<<-E\n    ${n}\n      b\n    E", "3\n  b\n"),
        ('"${"inner ${n}"}"', "inner 3"),
        ('""', ""),
    ],
)
def test_templates(text: str, found: Any) -> None:
    assert value(text) == found
