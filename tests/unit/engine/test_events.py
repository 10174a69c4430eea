"""The event bus: order, history, slow consumers, filters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pierhead.engine import events
from pierhead.engine.events import EventBus, includes
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter
from pierhead.store.database import Database

NOW = 1_700_000_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "state.db")


async def collect(source: AsyncIterator[dict[str, Any]], count: int) -> list[str]:
    found = []
    async with asyncio.timeout(5):
        async for event in source:
            found.append(event["Action"])
            if len(found) == count:
                break
    return found


async def test_live_from_the_call_on(db: Database) -> None:
    bus = EventBus(db)
    bus.emit("container", "before", "x")
    source = bus.subscribe()
    for action in ("a", "b", "c"):
        bus.emit("container", action, "x")
    assert await collect(source, 3) == ["a", "b", "c"]


async def test_times_increase_even_if_the_clock_stands(db: Database) -> None:
    bus = EventBus(db, now_ns=Clock())
    for _ in range(3):
        bus.emit("container", "a", "x")
    source = bus.subscribe(since_ns=1)
    times = [(await anext(source))["timeNano"] for _ in range(3)]
    assert times == [NOW, NOW + 1, NOW + 2]


async def test_history_survives_a_restart(db: Database) -> None:
    clock = Clock()
    first = EventBus(db, now_ns=clock)
    first.emit("container", "old", "x", {"name": "web"})
    clock.now += 10
    first.emit("container", "start", "x")
    first.close()
    second = EventBus(db, now_ns=clock)
    clock.now += 10
    second.emit("container", "die", "x")
    assert await collect(second.subscribe(since_ns=NOW + 5), 2) == ["start", "die"]
    past = [event async for event in second.subscribe(until_ns=NOW + 15)]
    assert [event["Action"] for event in past] == ["old", "start"]
    assert past[0]["Actor"]["Attributes"] == {"name": "web"}


async def test_until_ends_the_stream(db: Database) -> None:
    clock = Clock()
    bus = EventBus(db, now_ns=clock)
    source = bus.subscribe(until_ns=NOW + 50_000_000)
    bus.emit("container", "a", "x")
    clock.now += 60_000_000
    assert [event["Action"] async for event in source] == ["a"]


async def test_a_slow_consumer_loses_nothing(db: Database) -> None:
    bus = EventBus(db)
    source = bus.subscribe()
    bus.emit("container", "0", "x")
    assert await collect(source, 1) == ["0"]
    source = bus.subscribe()
    for number in range(3 * events.RING_EVENTS):
        bus.emit("container", str(number), "x")
    assert await collect(source, 3 * events.RING_EVENTS) == [
        str(number) for number in range(3 * events.RING_EVENTS)
    ]


async def test_one_who_falls_behind_for_ever_is_told(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "KEPT_EVENTS", 600)
    bus = EventBus(db)
    source = bus.subscribe()
    for number in range(3000):
        bus.emit("container", str(number), "x")
    assert [event async for event in source] == []
    assert "fell behind" in caplog.text


async def test_many_wait_and_cancelling_is_clean(db: Database) -> None:
    bus = EventBus(db)
    tasks = [asyncio.ensure_future(collect(bus.subscribe(), 1)) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert bus.listeners == 20
    tasks[0].cancel()
    await asyncio.sleep(0.01)
    assert bus.listeners == 19
    bus.emit("container", "a", "x")
    assert await asyncio.gather(*tasks[1:]) == [["a"]] * 19


async def test_close_ends_everybody(db: Database) -> None:
    bus = EventBus(db)
    task = asyncio.ensure_future(collect(bus.subscribe(), 1))
    await asyncio.sleep(0.01)
    bus.close()
    assert await asyncio.wait_for(task, 1) == []


async def test_events_are_written_at_once(db: Database) -> None:
    bus = EventBus(db)
    bus.emit("container", "a", "x")
    assert db.row("SELECT count(*) FROM events") == (1,)


async def test_a_full_disk_stops_nothing(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    bus = EventBus(db)
    source = bus.subscribe()
    db.execute("DROP TABLE events")
    bus.emit("container", "a", "x")
    assert await collect(source, 1) == ["a"]
    assert "could not be kept" in caplog.text


def event(type_: str = "container", action: str = "start", **attributes: str) -> dict[str, Any]:
    return {
        "Type": type_,
        "Action": action,
        "Actor": {"ID": "abcdef", "Attributes": attributes},
        "scope": "local",
    }


@pytest.mark.parametrize(
    ("filters", "found", "want"),
    [
        ({"type": ["container"]}, event(), True),
        ({"type": ["image"]}, event(), False),
        ({"event": ["start", "die"]}, event(), True),
        ({"event": ["star"]}, event(), False),
        ({"event": ["exec_create"]}, event(action="exec_create: sh"), True),
        ({"event": ["health_status"]}, event(action="health_status: healthy"), True),
        ({"container": ["abc"]}, event(), True),
        ({"container": ["web"]}, event(name="web"), True),
        ({"container": ["web"]}, event("network", name="web"), False),
        ({"image": ["busybox"]}, event(image="busybox:1.0"), True),
        ({"image": ["reg:5000/a"]}, event(image="reg:5000/a:1"), True),
        ({"image": ["busy"]}, event(image="busybox"), False),
        ({"image": ["busybox:1"]}, event("image", "tag", name="busybox:1"), True),
        ({"label": ["a=b"]}, event(a="b"), True),
        ({"label": ["a", "c"]}, event(a="b"), False),
        ({"scope": ["swarm"]}, event(), False),
        ({"type": ["container"], "event": ["die"]}, event(), False),
        ({"secret": ["abc"]}, event(), False),
    ],
)
def test_filters(filters: dict[str, list[str]], found: dict[str, Any], want: bool) -> None:
    assert includes(Filters(filters), found) is want


def test_unknown_filters_are_refused(db: Database) -> None:
    with pytest.raises(InvalidParameter, match="invalid filter 'nonsense'"):
        EventBus(db).subscribe(filters=Filters({"nonsense": ["1"]}))
