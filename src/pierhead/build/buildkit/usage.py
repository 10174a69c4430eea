"""``du`` and ``prune``: BuildKit's words ↔ those of the build service. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.messages import Message
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter

_SECOND_NS: Final = 1_000_000_000
_OPERATORS: Final = ("!=", "~=", "==", "=")
_FLAGS: Final = frozenset({"inuse", "shared", "private"})
_KEYS: Final = frozenset({"id", "parent", "type", "description", *_FLAGS})


def filters_of(texts: Iterable[str], keep_duration_ns: int = 0) -> Filters:
    """containerd's filters (``type==regular,shared``; several: alternatives) as the API's.

    Raises ``InvalidParameter`` for what the service has no word for.
    """
    values: dict[str, list[str]] = {}
    given = [text for text in texts if text]
    if len(given) > 1:
        raise InvalidParameter("several filters at a time are not supported: join them with ','")
    for part in given[0].split(",") if given else ():
        key, operator, value = _split(part)
        if key not in _KEYS or operator == "!=":
            raise InvalidParameter(
                f"invalid filter {part!r}: id, parent, type, description, inuse, shared, private"
            )
        values.setdefault(key, []).append(value.strip('"') if operator else "true")
    if keep_duration_ns:
        values["until"] = [f"{keep_duration_ns / _SECOND_NS:.3f}s"]
    return Filters(values)


def _split(part: str) -> tuple[str, str, str]:
    found = [(part.find(operator), operator) for operator in _OPERATORS if operator in part]
    if not found:
        return part, "", ""
    at, operator = min(found, key=lambda item: (item[0], -len(item[1])))
    return part[:at], operator, part[at + len(operator) :]


def record_of(cache: Mapping[str, Any]) -> Message:
    """A ``BuildCache`` of the API as ``UsageRecord``."""
    kind = str(cache.get("Type") or "regular")
    record = messages.get("moby.buildkit.v1.UsageRecord")(
        ID=str(cache["ID"]),
        Mutable=kind == "exec.cachemount",
        InUse=bool(cache.get("InUse")),
        Size=int(cache.get("Size") or 0),
        UsageCount=int(cache.get("UsageCount") or 0),
        Description=str(cache.get("Description") or ""),
        RecordType=kind,
        Shared=bool(cache.get("Shared")),
        Parents=list(cache.get("Parents") or ()),
    )
    for name, field in (("CreatedAt", record.CreatedAt), ("LastUsedAt", record.LastUsedAt)):
        time_ns = _time_ns(cache.get(name))
        if time_ns:
            messages.timestamp(field, time_ns)
    return record


def _time_ns(value: Any) -> int:
    """RFC 3339 text, as the API has it."""
    if not isinstance(value, str) or not value:
        return 0
    try:
        moment = datetime.fromisoformat(value[:26].rstrip("Z") + "+00:00")
    except ValueError:
        moment = datetime.fromisoformat(value)
    return int(moment.timestamp() * _SECOND_NS)
