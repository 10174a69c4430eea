"""Events: what happened, told to everybody who asks, and kept for those who ask later.

``emit`` is synchronous and cheap: the event gets a sequence number and its time, goes
into a ring in memory and into the ``events`` table, before anybody can learn of what it
tells (some 25 µs; a batch would be lost with the process). A subscriber is only a
position in that sequence. One that keeps up reads the ring; one that is slow reads the
table; so a slow one costs no memory and loses nothing, until it falls behind the table's
newest ``KEPT_EVENTS``: then its stream ends, so that it learns of the loss.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import msgspec

from pierhead.engine.filters import Filters
from pierhead.store.database import Database

log = logging.getLogger(__name__)

RING_EVENTS: Final = 512
KEPT_EVENTS: Final = 20_000
_BATCH: Final = 256
_TRIM_EVERY: Final = 1_000

ALLOWED_FILTERS: Final = frozenset(
    "config container daemon event image label network node plugin scope secret service type "
    "volume builder".split()
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class EventBus:
    """The daemon's one bus. Use it from the event loop's thread."""

    def __init__(self, db: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._db = db
        self._now_ns = now_ns
        self._ring: deque[tuple[int, dict[str, Any]]] = deque(maxlen=RING_EVENTS)
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = False
        newest = db.row("SELECT max(seq), max(time_ns) FROM events")
        self._seq: int = newest[0] if newest and newest[0] else 0
        self._last_ns: int = newest[1] if newest and newest[1] else 0
        self._untrimmed = _TRIM_EVERY

    def emit(
        self,
        type: str,
        action: str,
        actor_id: str,
        attributes: Mapping[str, str] | None = None,
        *,
        scope: str = "local",
    ) -> None:
        """Tell that ``action`` happened to the ``type`` (container, image, ...) ``actor_id``.

        ``attributes`` are Docker's: a container's labels, ``name``, ``image``, ...
        Times are strictly increasing even if the clock is not, so that a client can
        go on with ``since`` its last event's ``timeNano``.
        """
        time_ns = max(self._now_ns(), self._last_ns + 1)
        self._last_ns = time_ns
        self._seq += 1
        event: dict[str, Any] = {
            "Type": type,
            "Action": action,
            "Actor": {"ID": actor_id, "Attributes": dict(attributes or {})},
            "scope": scope,
            "time": time_ns // 1_000_000_000,
            "timeNano": time_ns,
        }
        self._ring.append((self._seq, event))
        self._save(time_ns, _encode(event))
        self._wake()

    def _save(self, time_ns: int, blob: bytes) -> None:
        try:
            self._db.execute(
                "INSERT INTO events (seq, time_ns, event) VALUES (?, ?, ?)",
                (self._seq, time_ns, blob),
            )
            self._untrimmed += 1
            if self._untrimmed >= _TRIM_EVERY:
                self._untrimmed = 0
                self._db.execute("DELETE FROM events WHERE seq <= ?", (self._seq - KEPT_EVENTS,))
        except sqlite3.Error:
            # A full disk must not stop what the event tells of. Who reads the table sees
            # the gap, and his stream ends.
            log.exception("an event could not be kept", extra={"seq": self._seq})

    def close(self) -> None:
        """End every subscription."""
        self._closed = True
        self._wake()

    @property
    def listeners(self) -> int:
        """How many subscribers wait for the next event."""
        return len(self._waiters)

    def subscribe(
        self, since_ns: int = 0, until_ns: int = 0, filters: Filters | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Events as they come, those since ``since_ns`` first; ends at ``until_ns``.

        0 means "not given". With neither, only what happens after this call (the call,
        not the first ``anext``). With only ``until_ns``, everything kept up to then.
        Raises ``InvalidParameter`` for an unknown filter.
        """
        filters = filters or Filters()
        filters.validate(ALLOWED_FILTERS)
        if since_ns or until_ns:
            position = self._position_at(since_ns)
        else:
            position = self._seq
        return self._follow(position, until_ns, filters)

    def _position_at(self, since_ns: int) -> int:
        """The sequence number just before the first kept event at or after ``since_ns``."""
        row = self._db.row("SELECT min(seq) FROM events WHERE time_ns >= ?", (since_ns,))
        first: int | None = row[0] if row else None
        return self._seq if first is None else first - 1

    async def _follow(
        self, position: int, until_ns: int, filters: Filters
    ) -> AsyncIterator[dict[str, Any]]:
        while True:
            for seq, event in self._after(position):
                if seq != position + 1:
                    log.warning("an events client fell behind and lost events; ending its stream")
                    return
                position = seq
                if until_ns and event["timeNano"] > until_ns:
                    return
                if includes(filters, event):
                    yield event
            if position < self._seq:
                continue
            if self._closed:
                return
            wait_s = None
            if until_ns:
                wait_s = (until_ns - self._now_ns()) / 1e9
                if wait_s <= 0:
                    return
            await self._next(wait_s)

    def _after(self, position: int) -> list[tuple[int, dict[str, Any]]]:
        """A bounded batch of events after ``position``, from the ring if it reaches back."""
        if self._ring and self._ring[0][0] <= position + 1:
            skip = position + 1 - self._ring[0][0]
            ring = self._ring
            return [ring[i] for i in range(skip, min(len(ring), skip + _BATCH))]
        rows = self._db.rows(
            "SELECT seq, event FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (position, _BATCH)
        )
        return [(seq, _decode(blob)) for seq, blob in rows]

    async def _next(self, timeout_s: float | None) -> None:
        """Wait for the next ``emit``, or until ``timeout_s`` is over."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def includes(filters: Filters, event: Mapping[str, Any]) -> bool:
    """Whether ``event`` passes ``filters`` by the rules of ``docker events --filter``.

    Names of objects match by id or name, by prefix except for images; an ``image``
    filter also takes the events of containers made from that image.
    """
    if not filters:
        return True
    type_, action = event["Type"], event["Action"]
    actor = event["Actor"]["ID"]
    attributes: Mapping[str, str] = event["Actor"]["Attributes"]
    if not (
        _action_matches(filters, action)
        and filters.match_exact("type", type_)
        and filters.match_exact("scope", event["scope"])
        and filters.match_kv("label", attributes)
    ):
        return False
    for noun in ("container", "daemon", "plugin", "volume", "network", "node", "service"):
        if noun in filters and not (
            type_ == noun
            and (
                filters.match_prefix(noun, actor)
                or filters.match_prefix(noun, attributes.get("name", ""))
            )
        ):
            return False
    for noun in ("secret", "config"):
        if noun in filters and not (type_ == noun and filters.match_prefix(noun, actor)):
            return False
    if "image" in filters:
        image = attributes.get("name" if type_ == "image" else "image", "")
        candidates = {actor, image, _without_tag(actor), _without_tag(image)}
        if not candidates.intersection(filters.get("image")):
            return False
    return True


def _action_matches(filters: Filters, action: str) -> bool:
    # These carry a detail after a colon; asking for them without it means any.
    if {"health_status", "exec_create", "exec_start"}.intersection(filters.get("event")):
        return filters.match_prefix("event", action)
    return filters.match_exact("event", action)


def _without_tag(name: str) -> str:
    """``busybox:1`` → ``busybox``; the port of a registry is no tag."""
    name = name.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name
