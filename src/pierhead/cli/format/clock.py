"""Times: RFC 3339 read and written by hand, the zone from the machine.

``datetime`` would do it in one line and costs more to import than a request.
"""

from __future__ import annotations

import time

_DAYS_BEFORE = (0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Unix seconds of Go's zero time, 0001-01-01T00:00:00Z.
ZERO_TIME = -62135596800


def unix_seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """Seconds since 1970 of a UTC date in the proleptic Gregorian calendar."""
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 - 719162
    days += _DAYS_BEFORE[month] + day - 1
    if month > 2 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)):
        days += 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def parse_rfc3339(text: str) -> tuple[int, int]:
    """Unix seconds and nanoseconds of ``2006-01-02T15:04:05.999999999Z07:00``.

    Raises ValueError.
    """
    if len(text) < 20 or text[4] != "-" or text[7] != "-" or text[10] not in "Tt":
        raise ValueError(f"not a time: {text!r}")
    at = 19
    nanoseconds = 0
    if text[at] == ".":
        end = at + 1
        while end < len(text) and text[end].isdigit():
            end += 1
        nanoseconds = int((text[at + 1 : end] + "000000000")[:9])
        at = end
    zone = text[at:]
    month = int(text[5:7])
    if not 1 <= month <= 12:
        raise ValueError(f"not a time: {text!r}")
    seconds = unix_seconds(
        int(text[:4]), month, int(text[8:10]), int(text[11:13]), int(text[14:16]), int(text[17:19])
    )
    if zone not in ("Z", "z"):
        if len(zone) != 6 or zone[0] not in "+-" or zone[3] != ":":
            raise ValueError(f"not a time: {text!r}")
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * 60
        seconds += offset if zone[0] == "-" else -offset
    return seconds, nanoseconds


def _local(seconds: int) -> tuple[time.struct_time, str, str]:
    """Local date and time, ``+01:00``, and the zone's name."""
    moment = time.localtime(seconds)
    offset = moment.tm_gmtoff or 0
    minutes = abs(offset) // 60
    return (
        moment,
        f"{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}",
        (moment.tm_zone or "UTC"),
    )


def _date(moment: time.struct_time) -> str:
    return f"{moment.tm_year:04d}-{moment.tm_mon:02d}-{moment.tm_mday:02d}"


def _time(moment: time.struct_time) -> str:
    return f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}"


def go_time_string(seconds: int, nanoseconds: int = 0, *, utc: bool = False) -> str:
    """``time.Time.String``: ``2006-01-02 15:04:05 +0100 CET``, local unless ``utc``."""
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    if utc:
        moment = time.gmtime(seconds)
        return f"{_date(moment)} {_time(moment)}{fraction} +0000 UTC"
    moment, offset, name = _local(seconds)
    return f"{_date(moment)} {_time(moment)}{fraction} {offset.replace(':', '')} {name}"


def rfc3339_local(seconds: int, nanoseconds: int | None = None) -> str:
    """RFC 3339 in local time; with ``nanoseconds`` all nine digits of them."""
    moment, offset, _ = _local(seconds)
    fraction = "" if nanoseconds is None else f".{nanoseconds:09d}"
    zone = "Z" if offset == "+00:00" else offset
    return f"{_date(moment)}T{_time(moment)}{fraction}{zone}"


def ansic(seconds: int, *, offset: int = 0) -> str:
    """``time.ANSIC``: ``Mon Jan _2 15:04:05 2006`` (UTC, or ``offset`` seconds east)."""
    moment = time.gmtime(seconds + offset)
    return (
        f"{_DAY_NAMES[moment.tm_wday]} {_MONTH_NAMES[moment.tm_mon - 1]} "
        f"{moment.tm_mday:2d} {_time(moment)} {moment.tm_year:04d}"
    )


def since(seconds: int, nanoseconds: int = 0) -> float:
    """Seconds that have passed since a moment, by this machine's clock."""
    return time.time() - seconds - nanoseconds / 1e9


def api_timestamp(text: str) -> str:
    """``--since`` and ``--until``: a time, a date, a duration ago, or unix seconds, as the
    API takes it (``seconds.nanoseconds``).

    Times without a zone are local. Raises ValueError.
    """
    if text != "0":
        ago = _duration(text)
        if ago is not None:
            return str((time.time_ns() - ago) // 1_000_000_000)
    if "T" not in text and "-" not in text:
        whole, _, part = text.partition(".")
        if not whole.lstrip("-").isdigit() or (part and not part.isdigit()):
            raise ValueError(f'failed to parse value as time or duration: "{text}"')
        return text
    try:
        seconds, nanoseconds = _calendar(text)
    except (ValueError, IndexError):
        raise ValueError(f'parsing time "{text}": write YYYY-MM-DD[THH:MM[:SS][Z]]') from None
    return f"{seconds}.{nanoseconds:09d}"


def _calendar(text: str) -> tuple[int, int]:
    date, _, rest = text.partition("T")
    local = not (any(char in text for char in "zZ+") or text.count("-") == 3)
    if "T" not in text:
        zone = text[10:] or "Z"
        clock, date = "00:00:00", text[:10]
    else:
        at = next((at for at, char in enumerate(rest) if char in "zZ+-"), len(rest))
        clock, zone = rest[:at], rest[at:] or "Z"
    clock += ":00" * (2 - clock.count(":"))
    seconds, nanoseconds = parse_rfc3339(f"{date}T{clock}{zone}")
    if local:
        moment = time.gmtime(seconds)
        seconds = int(time.mktime((*moment[:8], -1)))
    return seconds, nanoseconds


_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_UNITS["h"] = 3600 * 10**9


def _duration(text: str) -> int | None:
    """Nanoseconds of a Go duration such as ``1h30m``, None if it is none."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    total = 0.0
    if not rest:
        return None
    while rest:
        end = 0
        while end < len(rest) and rest[end] in "0123456789.":
            end += 1
        stop = end
        while stop < len(rest) and rest[stop] not in "0123456789.":
            stop += 1
        unit = _UNITS.get(rest[end:stop])
        if unit is None or not rest[:end].strip(".") or rest[:end].count(".") > 1:
            return None
        total += float(rest[:end]) * unit
        rest = rest[stop:]
    return sign * int(total)
