"""What goes when the cache is pruned."""

from __future__ import annotations

import pytest

from pierhead.build.cache.prune import choose, matches, overdue
from pierhead.build.cache.usage import Item
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter

HOUR = 3600 * 1_000_000_000
NOW = 100 * HOUR


def item(id: str, size: int = 10, **fields: object) -> Item:
    values: dict[str, object] = {
        "kind": "regular", "description": f"RUN {id}", "created_ns": 1, "used_ns": 1, "uses": 1,
        "in_use": False, "shared": False, **fields,
    }  # fmt: skip
    return Item(id=id, size_bytes=size, **values)  # type: ignore[arg-type]


def chosen(items: list[Item], filters: Filters | None = None, **options: object) -> list[str]:
    options = {"all": False, "keep_bytes": 0, "now_ns": NOW, **options}
    return [item.id for item in choose(items, filters, **options)]  # type: ignore[arg-type]


def test_what_is_used_stays() -> None:
    items = [item("a", in_use=True), item("b", shared=True), item("c")]
    assert chosen(items) == ["c"]
    assert chosen(items, all=True) == ["b", "c"]


def test_no_more_than_has_to_goes() -> None:
    items = [item("old"), item("shared", shared=True), item("mid"), item("new")]
    assert chosen(items, all=True, keep_bytes=10) == ["old", "shared", "mid"]
    assert chosen(items, keep_bytes=20) == ["old"]
    assert chosen(items, keep_bytes=1000) == []
    assert chosen(items, free_needed_bytes=15) == ["old", "mid"]


def test_filters() -> None:
    old = item("abc", used_ns=NOW - 50 * HOUR, parents=("p1",), mount="m", kind="exec.cachemount")
    new = item("def", used_ns=NOW - HOUR)

    def found(**filters: str) -> list[str]:
        wanted = Filters({key.replace("_", "-"): [value] for key, value in filters.items()})
        return [each.id for each in (old, new) if matches(each, wanted, now_ns=NOW)]

    assert found(until="24h") == ["abc"]
    assert found(unused_for="24h") == ["abc"]
    assert found(id="de") == ["def"]
    assert found(parent="p") == ["abc"]
    assert found(type="regular") == ["def"]
    assert found(description="RUN d") == ["def"]
    assert found(mutable="true") == ["abc"]
    assert found(inuse="false") == ["abc", "def"]
    with pytest.raises(InvalidParameter, match="invalid filter 'x'"):
        found(x="1")


def test_records_have_no_labels() -> None:
    """``docker system prune --filter label=...`` asks so for the build cache as well."""
    assert chosen([item("a")], Filters({"label": ["keep=1"]})) == []
    assert chosen([item("a")], Filters({"label!": ["keep=1"]})) == ["a"]


def test_bad_filters_are_told_where_there_is_nothing() -> None:
    with pytest.raises(InvalidParameter, match="invalid filter 'x'"):
        chosen([], Filters({"x": ["1"]}))


def test_what_nobody_used_for_long() -> None:
    items = [item("a", used_ns=5), item("b", used_ns=50), item("c", used_ns=5, in_use=True)]
    assert [each.id for each in overdue(items, before_ns=10)] == ["a"]
