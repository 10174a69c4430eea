"""RFC 3339 times in image configs, to the nanosecond."""

from __future__ import annotations

import datetime
import re
from typing import Final

from pierhead.errors import InvalidParameter

_PATTERN: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,18}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
GO_ZERO: Final = "0001-01-01T00:00:00Z"
"""How Go writes a time that was never set."""


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch; 0 for nothing, nonsense or Go's zero time."""
    match = _PATTERN.fullmatch(text)
    if match is None or text.startswith("0001-01-01"):
        return 0
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        moment = datetime.datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError:
        return 0
    delta = moment - _EPOCH
    seconds = delta.days * 86_400 + delta.seconds
    return seconds * 1_000_000_000 + int(((fraction or "") + "0" * 9)[:9])


def format_rfc3339(time_ns: int) -> str:
    """UTC with as many digits as needed, as Go's RFC3339Nano writes it."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
DURATION_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def parse_duration(text: str) -> int:
    """A Go duration ("1h30m", "-1.5s") in nanoseconds. Raises ``InvalidParameter``."""
    body = text.lstrip("+-")
    if body == "0":
        return 0
    total, position = 0.0, 0
    for match in _DURATION_PART.finditer(body):
        if match.start() != position:
            break
        total += float(match[1]) * DURATION_UNITS_NS[match[2]]
        position = match.end()
    if not body or position != len(body) or len(text) - len(body) > 1:
        raise InvalidParameter(f'time: invalid duration "{text}"')
    return -round(total) if text.startswith("-") else round(total)


def parse_timestamp(text: str, now_ns: int) -> int:
    """What ``--filter until=`` takes, in nanoseconds since the epoch.

    A Unix time with optional fraction, RFC 3339 with parts left out from the right, or a
    duration counted back from ``now_ns``. Raises ``InvalidParameter``.
    """
    whole, _, fraction = text.partition(".")
    if whole.isdigit() and (fraction.isdigit() or not fraction) and len(whole) < 12:
        return int(whole) * 1_000_000_000 + int((fraction + "0" * 9)[:9])
    if re.fullmatch(r"\d{4}-\d\d-\d\d.*", text, re.ASCII):
        candidate = text
        if not re.search(r"([Zz]|[+-]\d\d:\d\d)$", candidate[10:]):
            candidate += "Z"
        day, rest = candidate[:10], candidate[10:]
        body = rest.lstrip("Tt")
        clock = re.match(r"(\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?", body, re.ASCII)
        clock_text = clock[0] if clock else ""
        zone = body[len(clock_text) :]
        missing = {0: "00:00:00", 2: ":00:00", 5: ":00"}.get(len(clock_text), "")
        if _PATTERN.fullmatch(f"{day}T{clock_text}{missing}{zone}"):
            return parse_rfc3339(f"{day}T{clock_text}{missing}{zone}")
        raise InvalidParameter(f"failed to parse value as time or duration: {text!r}")
    try:
        return now_ns - parse_duration(text)
    except InvalidParameter as error:
        raise InvalidParameter(f'failed to parse value as time or duration: "{text}"') from error
