"""Networks in the Engine API's words (API 1.56, NetworkInspect and NetworkSummary). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

import msgspec

from pierhead.engine.filters import Filters
from pierhead.engine.networks.model import PREDEFINED, NetworkRecord
from pierhead.errors import InvalidParameter

_SECONDS = re.compile(r"\d+(\.\d*)?")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")
_UNITS_NS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "ns": 1,
}

FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})


def rfc3339(time_ns: int) -> str:
    """Nanoseconds since the epoch as Go writes a time in UTC: no trailing zeros."""
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{nanos:09d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def summary(record: NetworkRecord) -> dict[str, Any]:
    """What list and inspect have in common."""
    return {
        "Name": record.name,
        "Id": record.id,
        "Created": rfc3339(record.created_ns),
        "Scope": record.scope,
        "Driver": record.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": record.ipam.driver,
            "Options": record.ipam.options,
            "Config": msgspec.to_builtins(record.ipam.config),
        },
        "Internal": record.internal,
        "Attachable": record.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": record.options,
        "Labels": record.labels,
    }


def endpoint(
    *, name: str, endpoint_id: str, mac: str, address: IPv4Address | None, prefix_len: int
) -> dict[str, str]:
    """One entry of ``Containers`` in an inspected network."""
    return {
        "Name": name,
        "EndpointID": endpoint_id,
        "MacAddress": mac,
        "IPv4Address": f"{address}/{prefix_len}" if address else "",
        "IPv6Address": "",
    }


def select(
    records: Iterable[NetworkRecord], filters: Filters, in_use: Iterable[str]
) -> list[NetworkRecord]:
    """The records that pass ``filters``; ``in_use`` are ids of networks with containers.

    Raises ``InvalidParameter`` for unknown filters.
    """
    filters.validate(FILTERS)
    for kind in filters.get("type"):
        if kind not in ("custom", "builtin"):
            raise InvalidParameter(f"invalid filter: 'type'='{kind}'")
    used = set(in_use)
    dangling = filters.boolean("dangling") if "dangling" in filters else None
    return [
        record
        for record in records
        if filters.match("name", record.name)
        and filters.match("id", record.id)
        and filters.match_exact("driver", record.driver)
        and filters.match_exact("scope", record.scope)
        and filters.match_exact("type", "builtin" if record.name in PREDEFINED else "custom")
        and filters.match_labels(record.labels)
        and (
            dangling is None
            or dangling == (record.name not in PREDEFINED and record.id not in used)
        )
    ]


def until(filters: Filters, *, now_ns: int) -> int | None:
    """The moment of an ``until`` filter in nanoseconds since the epoch, None without one.

    Unix seconds (with a fraction), a Go duration before now, or an RFC 3339 time. Raises
    ``InvalidParameter``.
    """
    values = filters.get("until")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidParameter("more than one until filter specified")
    return parse_moment(values[0], now_ns=now_ns)


def parse_moment(text: str, *, now_ns: int) -> int:
    """One moment as the API's filters spell it. Raises ``InvalidParameter``."""
    if _SECONDS.fullmatch(text):
        seconds, _, fraction = text.partition(".")
        return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0") or 0)
    if text and _DURATION.fullmatch(text):
        return now_ns - sum(
            int(float(number) * _UNITS_NS[unit]) for number, unit in _DURATION_PART.findall(text)
        )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid until filter {text!r}: not a time or duration") from error
    if moment.tzinfo is None:
        moment = moment.astimezone()
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
