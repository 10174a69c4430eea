from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pierhead.cli.format import clock


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:00Z", (0, 0)),
        ("2006-01-02T15:04:05Z", (1136214245, 0)),
        ("2006-01-02T15:04:05.5+01:00", (1136210645, 500_000_000)),
        ("2024-02-29T00:00:00.123456789-05:30", (1709184600, 123_456_789)),
        ("0001-01-01T00:00:00Z", (clock.ZERO_TIME, 0)),
    ],
)
def test_parse(text: str, moment: tuple[int, int]) -> None:
    assert clock.parse_rfc3339(text) == moment


@pytest.mark.parametrize("text", ["", "now", "2006-13-02T15:04:05Z", "2006-01-02T15:04:05+1"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|int"):
        clock.parse_rfc3339(text)


@pytest.mark.usefixtures("berlin")
def test_local_times() -> None:
    assert clock.go_time_string(1136214245) == "2006-01-02 16:04:05 +0100 CET"
    assert clock.go_time_string(1136214245, 120, utc=True) == (
        "2006-01-02 15:04:05.00000012 +0000 UTC"
    )
    assert clock.rfc3339_local(1136214245) == "2006-01-02T16:04:05+01:00"
    assert clock.rfc3339_local(1136214245, 7) == "2006-01-02T16:04:05.000000007+01:00"
    assert clock.api_timestamp("2006-01-02T16:04:05") == "1136214245.000000000"
    assert clock.api_timestamp("2006-01-02") == "1136156400.000000000"


def test_ansic() -> None:
    assert clock.ansic(1136214245) == "Mon Jan  2 15:04:05 2006"
    assert clock.ansic(1136214245, offset=3600) == "Mon Jan  2 16:04:05 2006"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("1136214245", "1136214245"),
        ("1136214245.5", "1136214245.5"),
        ("2006-01-02T15:04:05.5Z", "1136214245.500000000"),
        ("2006-01-02T15:04:05+01:00", "1136210645.000000000"),
        ("2006-01-02T15Z", "1136214000.000000000"),
    ],
)
def test_api_timestamps(text: str, value: str) -> None:
    assert clock.api_timestamp(text) == value


def test_durations_are_ago() -> None:
    assert abs(int(clock.api_timestamp("1h30m")) - (time.time() - 5400)) < 3
    assert abs(int(clock.api_timestamp("-10s")) - (time.time() + 10)) < 3


@pytest.mark.parametrize("text", ["foo", "5x", "2006-13-45", "1.2.3", "T"])
def test_bad_timestamps(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        clock.api_timestamp(text)


def test_since() -> None:
    assert 9 < clock.since(int(time.time()) - 10) < 12
