from __future__ import annotations

import pytest

from pierhead.engine.images.clock import (
    format_rfc3339,
    parse_duration,
    parse_rfc3339,
    parse_timestamp,
)
from pierhead.errors import InvalidParameter

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01T01:00:00.5+01:00", SECOND // 2),
        ("2024-02-29T12:00:00.123456789Z", 1709208000123456789),
        ("0001-01-01T00:00:00Z", 0), ("", 0), ("yesterday", 0), ("2024-13-01T00:00:00Z", 0),
    ],
)  # fmt: skip
def test_rfc3339(text: str, time_ns: int) -> None:
    assert parse_rfc3339(text) == time_ns


def test_formatting_is_gos() -> None:
    assert format_rfc3339(SECOND) == "1970-01-01T00:00:01Z"
    assert format_rfc3339(1709208000120000000) == "2024-02-29T12:00:00.12Z"
    for time_ns in (1, 1709208000123456789):
        assert parse_rfc3339(format_rfc3339(time_ns)) == time_ns


@pytest.mark.parametrize(
    ("text", "value"),
    [("1s", SECOND), ("1h30m", 5400 * SECOND), ("1.5s", 1_500_000_000), ("-2ms", -2_000_000),
     ("0", 0), ("1us", 1000), ("1µs", 1000), (".5s", SECOND // 2)],
)  # fmt: skip
def test_durations(text: str, value: int) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "1s2", "--1s", "1 s"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [("10", 10 * SECOND), ("10.5", 10_500_000_000), ("1h", (100_000 - 3600) * SECOND),
     ("1970-01-02", 86_400 * SECOND), ("1970-01-01T00:01", 60 * SECOND),
     ("1970-01-01T01:00:00+01:00", 0), ("1970-01-01T00:00:02.5", 2_500_000_000)],
)  # fmt: skip
def test_timestamps(text: str, time_ns: int) -> None:
    assert parse_timestamp(text, 100_000 * SECOND) == time_ns


@pytest.mark.parametrize("text", ["", "soon", "1970-01-01Tx", "1970-1-1", "10.x"])
def test_bad_timestamps(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_timestamp(text, 0)
