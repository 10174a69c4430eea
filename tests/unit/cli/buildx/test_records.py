from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.buildx.records import (
    choose,
    duration_text,
    fetch,
    fits,
    short_name,
    status_text,
    took,
)
from pierhead.cli.errors import CliError
from support.fake_cli import FakeCli, FakeClient

SECOND = 10**9


def record(ref: str, started: int, finished: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "ref": ref,
        "started_ns": started * SECOND,
        "finished_ns": (started + finished) * SECOND if finished else 0,
        "status": "completed",
        **fields,
    }


RECORDS = [record("abc", 1), record("abd", 3), record("x", 2, 0, status="running")]


def test_order() -> None:
    client = FakeClient({"GET /pierhead/build/history": RECORDS}, "1.56")
    cli: Any = FakeCli("", client, {}, "")
    assert [one["ref"] for one in fetch(cli)] == ["x", "abd", "abc"]


@pytest.mark.parametrize(
    ("word", "ref"),
    [("", "abd"), ("^1", "x"), ("^2", "abc"), ("abc", "abc"), ("x", "x"), ("a/b/abd", "abd")],
)
def test_which_one_is_meant(word: str, ref: str) -> None:
    assert choose(RECORDS, word)["ref"] == ref


@pytest.mark.parametrize(
    ("word", "told"), [("ab", "multiple records"), ("zz", "no record found"), ("^9", "no record")]
)
def test_none_or_several(word: str, told: str) -> None:
    with pytest.raises(CliError, match=told):
        choose(RECORDS, word)
    with pytest.raises(CliError, match="no records found"):
        choose([], "")


def test_texts() -> None:
    assert [duration_text(n * SECOND) for n in (0, 59, 65, 7265)] == [
        "0.0s",
        "59.0s",
        "1m  5s",
        "2h  1m",
    ]
    assert took(RECORDS[0], 0) == "1.0s" and took(RECORDS[2], 5 * SECOND) == "3.0s+"
    assert status_text(RECORDS[2]) == "Running"
    assert short_name("x" * 40) == ".." + "x" * 34 and short_name("y") == "y"


def test_filters() -> None:
    one = record("abc", 1, name="web", tags=["t"])
    for text in ("ref=ab", "status=completed", "name=we", "tag=t", "status!=error"):
        assert fits(one, [text])
    for text in ("ref=x", "status!=completed", "tag=z"):
        assert not fits(one, [text])
    for text in ("nope", "foo=bar"):
        with pytest.raises(CliError):
            fits(one, [text])
