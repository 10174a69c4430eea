"""Filters of list, prune and event requests."""

from __future__ import annotations

import pytest

from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter


def test_both_wire_forms() -> None:
    for source in (
        '{"label":{"a=b":true,"c":true}}',
        '{"label":["a=b","c"]}',
        b'{"label":["a=b","c"]}',
    ):
        assert Filters.parse(source).get("label") == ["a=b", "c"]
    for empty in (None, "", "{}", "null", {}):
        assert not Filters.parse(empty)


@pytest.mark.parametrize(
    "bad", ["x", "[]", '"a"', '{"a":1}', '{"a":[1]}', '{"a":{"b":1}}', "[" * 100_000]
)
def test_anything_else_is_an_error(bad: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid filter"):
        Filters.parse(bad)


def test_validate() -> None:
    filters = Filters({"name": ["x"]})
    filters.validate({"name"})
    with pytest.raises(InvalidParameter, match="invalid filter 'name'"):
        filters.validate({"label"})


def test_match_is_substring_or_expression() -> None:
    filters = Filters({"name": ["^/?web", "db", "("]})
    assert filters.match("name", "webserver")
    assert filters.match("name", "mydb1")
    assert filters.match("name", "a(b")
    assert not filters.match("name", "aweb")
    assert filters.match("id", "anything")


def test_exact_and_prefix() -> None:
    filters = Filters({"id": ["abc"]})
    assert filters.match_prefix("id", "abcdef") and not filters.match_prefix("id", "xabc")
    assert filters.match_exact("id", "abc") and not filters.match_exact("id", "abcdef")


def test_labels() -> None:
    labels = {"a": "b", "c": ""}
    assert Filters({"label": ["a", "a=b", "c="]}).match_labels(labels)
    assert not Filters({"label": ["a=x"]}).match_labels(labels)
    assert not Filters({"label": ["a", "d"]}).match_labels(labels)
    assert not Filters({"label!": ["a"]}).match_labels(labels)
    assert Filters({"label!": ["a=x", "d"]}).match_labels(labels)
    assert Filters().match_labels(None)


def test_booleans() -> None:
    assert Filters({"dangling": ["true"]}).boolean("dangling")
    assert not Filters({"dangling": ["0"]}).boolean("dangling")
    assert Filters().boolean("dangling", True)
    for bad in (["maybe"], ["true", "false"]):
        with pytest.raises(InvalidParameter, match="invalid filter 'dangling"):
            Filters({"dangling": bad}).boolean("dangling")
