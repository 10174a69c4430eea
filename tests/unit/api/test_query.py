"""Query values as Docker parses them."""

from __future__ import annotations

import pytest

from pierhead.api import query
from pierhead.errors import InvalidParameter

NOW = 1_700_000_000_000_000_000


@pytest.mark.parametrize("text", ["", "0", "no", "false", "none", "False", " NO "])
def test_false(text: str) -> None:
    assert query.boolean(text) is False
    assert query.boolean(text, True) is False


@pytest.mark.parametrize("text", ["1", "true", "yes", "x", "-1"])
def test_true(text: str) -> None:
    assert query.boolean(text) is True


def test_not_given() -> None:
    assert query.boolean(None) is False
    assert query.boolean(None, True) is True


def test_integer() -> None:
    assert query.integer("t", "-1") == -1
    assert query.integer("t", "") is None
    assert query.integer("t", None, 7) == 7
    for bad in ("x", "1.5", "1e3", "99999999999999999999", "٣"):
        with pytest.raises(InvalidParameter, match="t: "):
            query.integer("t", bad)


def test_dimension() -> None:
    assert query.dimension("height", "24") == 24
    for bad in (None, "", "-1", "x", "4294967296", "99999999999999"):
        with pytest.raises(InvalidParameter, match="invalid resize height"):
            query.dimension("height", bad)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("1700000000", NOW),
        ("1700000000.000000001", NOW + 1),
        ("1700000000.5", NOW + 500_000_000),
        ("10m", NOW - 600_000_000_000),
        ("1h30m", NOW - 5_400_000_000_000),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20.000000007Z", NOW + 7),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14", 1_699_920_000_000_000_000),
    ],
)
def test_timestamps(text: str | None, want: int) -> None:
    assert query.timestamp_ns("since", text, NOW) == want


@pytest.mark.parametrize("text", ["yesterday", "1x", "2023-13-01", "--1", "1.2.3"])
def test_bad_timestamps(text: str) -> None:
    with pytest.raises(InvalidParameter, match="since"):
        query.timestamp_ns("since", text, NOW)


def test_platform() -> None:
    assert query.platform("") is None
    assert query.platform("linux/arm64/v8") == "linux/arm64/v8"
    assert query.platform('{"os":"linux","architecture":"amd64"}') == "linux/amd64"
    for bad in ('{"os":"linux"}', "{", '{"os":1,"architecture":"x"}', "{}"):
        with pytest.raises(InvalidParameter):
            query.platform(bad)
