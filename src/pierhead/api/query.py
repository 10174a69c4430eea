"""Values of the query string, parsed as Docker's daemon parses them."""

from __future__ import annotations

import json
import re
from typing import Final

from pierhead.errors import InvalidParameter

_FALSE: Final = frozenset({"", "0", "no", "false", "none"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_UNIT_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_UNIX = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,9})[0-9]*)?")


def boolean(value: str | None, default: bool = False) -> bool:
    """Anything but empty, 0, no, false and none is true; ``default`` when not given at all."""
    if value is None:
        return default
    return value.strip().lower() not in _FALSE


def integer(name: str, value: str | None, default: int | None = None) -> int | None:
    """A decimal integer of 64 bits; empty counts as not given. Raises naming the parameter."""
    if value is None or value == "":
        return default
    if not _INTEGER.fullmatch(value) or not -(1 << 63) <= int(value) < 1 << 63:
        raise InvalidParameter(f"invalid value for {name}: {value!r} is not an integer")
    return int(value)


def dimension(name: str, value: str | None) -> int:
    """A terminal's height or width: an unsigned integer of 32 bits, required."""
    if value is None or not _INTEGER.fullmatch(value):
        raise InvalidParameter(f'invalid resize {name} "{value or ""}": invalid syntax')
    if not 0 <= int(value) < 1 << 32:
        raise InvalidParameter(f'invalid resize {name} "{value}": value out of range')
    return int(value)


def timestamp_ns(name: str, value: str | None, now_ns: int) -> int:
    """Nanoseconds since the epoch; 0 when not given.

    Takes what the CLI sends (``seconds[.nanoseconds]``) and, since people use the API by
    hand, RFC 3339 times and Go durations counted back from ``now_ns``.
    """
    if not value or value == "0":
        return 0
    match = _UNIX.fullmatch(value)
    if match:
        nanos = (match[2] or "").ljust(9, "0")
        return max(int(match[1]) * 1_000_000_000 + int(nanos), 0)
    duration = duration_ns(value)
    if duration is not None:
        return max(now_ns - duration, 0)
    stamp = _rfc3339_ns(value)
    if stamp is None:
        raise InvalidParameter(
            f"invalid value for '{name}': {value!r} is neither seconds since the epoch, "
            "nor an RFC 3339 time, nor a duration like 10m"
        )
    return stamp


def duration_ns(value: str) -> int | None:
    """A Go duration (``1h30m``, ``1.5s``) in nanoseconds, or None if it is none."""
    sign, text = (-1, value[1:]) if value.startswith("-") else (1, value.removeprefix("+"))
    total, end = 0.0, 0
    for match in _DURATION.finditer(text):
        if match.start() != end:
            return None
        total += float(match[1]) * _UNIT_NS[match[2]]
        end = match.end()
    return sign * int(total) if text and end == len(text) else None


def _rfc3339_ns(value: str) -> int | None:
    from datetime import UTC, datetime

    head, dot, tail = value.partition(".")
    digits = re.match(r"[0-9]+", tail)
    fraction = digits[0] if digits else ""
    zone = tail[len(fraction) :] if dot else ""
    try:
        moment = datetime.fromisoformat(head + zone)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))


def platform(value: str | None) -> str | None:
    """An ``os[/arch[/variant]]`` or the JSON form of newer clients, as ``os/arch/variant``."""
    if not value:
        return None
    if not value.startswith("{"):
        return value
    try:
        given = json.loads(value)
        parts = [given.get("os", ""), given.get("architecture", ""), given.get("variant", "")]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError("os, architecture and variant must be strings")
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"failed to parse platform: {error}") from error
    if not parts[0] or not parts[1]:
        raise InvalidParameter("both OS and Architecture must be provided")
    return "/".join(part for part in parts if part)
