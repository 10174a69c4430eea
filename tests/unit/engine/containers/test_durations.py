from __future__ import annotations

import pytest

from pierhead.engine.containers.durations import human_duration, rfc3339

MINUTE, HOUR = 60, 3600
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (61, "About a minute"),
        (3 * MINUTE, "3 minutes"),
        (HOUR, "About an hour"),
        (89 * MINUTE, "About an hour"),
        (90 * MINUTE, "2 hours"),
        (47 * HOUR, "47 hours"),
        (3 * DAY, "3 days"),
        (15 * DAY, "2 weeks"),
        (61 * DAY, "2 months"),
        (800 * DAY, "2 years"),
    ],
)
def test_human(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_rfc3339_trims_zeros() -> None:
    assert rfc3339(0) == "0001-01-01T00:00:00Z"
    assert rfc3339(1767319445_000_000_000) == "2026-01-02T02:04:05Z"
    assert rfc3339(1767319445_120_000_000) == "2026-01-02T02:04:05.12Z"
