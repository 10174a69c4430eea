"""Times as Docker shows them: "Up 3 minutes", RFC 3339 with nanoseconds (pure)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

ZERO_TIME: Final = "0001-01-01T00:00:00Z"


def human_duration(seconds: float) -> str:
    """Roughly, in words: the largest unit only."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"


def rfc3339(ns: int) -> str:
    """UTC with as many digits as needed, as Go's RFC3339Nano; 0 is Go's zero time."""
    if ns <= 0:
        return ZERO_TIME
    seconds, fraction = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{digits}Z"
