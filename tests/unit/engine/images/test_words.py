from __future__ import annotations

import pytest

from pierhead.engine.images.words import expand, json_list, split_words
from pierhead.errors import InvalidParameter


def test_splitting_keeps_quotes() -> None:
    assert split_words("a  'b c' \"d e\" f\\ g h'i j'k") == [
        "a", "'b c'", '"d e"', "f\\ g", "h'i j'k",
    ]  # fmt: skip
    assert split_words("") == []


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("plain", "plain"), ("'$A'", "$A"), ('"$A b"', "1 b"), ("$A$B", "12"), ("${A}x", "1x"),
        ("\\$A", "$A"), ("$", "$"), ("$-", "$-"), ("${N:-d$A}", "d1"), ("${E-d}", ""),
        ("${E:-d}", "d"), ("${A:+y}", "y"), ("${N:+y}", ""), ('"a\\"b\\n"', 'a"b\\n'),
        ("a\\\\b", "a\\b"), ("${N:-${A}}", "1"),
    ],
)  # fmt: skip
def test_expanding(word: str, value: str) -> None:
    assert expand(word, {"A": "1", "B": "2", "E": ""}) == value


@pytest.mark.parametrize("word", ["'a", '"a', "${A", "${}", "${A:x}", "${A%b}"])
def test_what_cannot_be_expanded(word: str) -> None:
    with pytest.raises(InvalidParameter):
        expand(word, {"A": "1"})


def test_json_lists() -> None:
    assert json_list('["a", "b"]') == ["a", "b"]
    for text in ("a", "['a']", "[1]", "[", '{"a": 1}', "[" * 100_000):
        assert json_list(text) is None
