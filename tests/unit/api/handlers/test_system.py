"""The daemon about itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

from pierhead.api.handlers.system import negotiate
from support.api import fake_engine, serving


async def test_events_until_now_end(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path)
    engine.events.emit("container", "start", "abc", {"image": "busybox", "name": "web"})
    engine.events.emit("image", "create", "sha256:1", {})
    await asyncio.sleep(0.01)
    async with serving(engine, tmp_path) as ask:
        old = await ask("GET", "/v1.44/events?since=1&until=0s")
        lines = [json.loads(line) for line in old.body.splitlines()]
        assert old.headers["content-type"] == "application/json"
        assert [(line["status"], line["from"]) for line in lines] == [("start", "busybox")]
        new = await ask("GET", "/events?since=1&until=0s")
        assert new.headers["content-type"] == "application/jsonl"
        assert [json.loads(line)["Action"] for line in new.body.splitlines()] == ["start", "create"]
        assert "status" not in json.loads(new.body.splitlines()[0])
        sequence = await ask(
            "GET", "/events?since=1&until=0s", headers={"Accept": "application/json-seq"}
        )
        assert sequence.body.startswith(b"\x1e{")
        filtered = await ask("GET", '/events?since=1&until=0s&filters={"type":["image"]}')
        assert len(filtered.body.splitlines()) == 1


async def test_live_events_come_at_once(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path)
    async with serving(engine, tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        engine.events.emit("volume", "create", "v")
        line = await asyncio.wait_for(reader.readuntil(b"\n\r\n"), 2)
        assert b'"Action":"create"' in line


async def test_bad_event_parameters(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path), tmp_path) as ask:
        for target in (
            "/events?since=x",
            "/events?since=10&until=5",
            '/events?filters={"nonsense":["1"]}',
        ):
            assert (await ask("GET", target)).status == 400, target


async def test_df_types(tmp_path: Path) -> None:
    asked: list[set[str]] = []

    async def disk_usage(kinds: set[str]) -> dict[str, object]:
        asked.append(kinds)
        return {}

    records = [
        {"ID": "a", "Size": 5, "InUse": False, "Shared": False},
        {"ID": "b", "Size": 7, "InUse": True, "Shared": False},
        {"ID": "c", "Size": 9, "InUse": False, "Shared": True},
    ]
    engine = fake_engine(
        tmp_path,
        system=SimpleNamespace(disk_usage=disk_usage),
        build=SimpleNamespace(usage=lambda: records),
    )
    async with serving(engine, tmp_path) as ask:
        assert (await ask("GET", "/system/df?type=image&type=volume")).status == 200
        assert (await ask("GET", "/system/df?type=x")).message == "unknown object type: x"
        answer = await ask("GET", "/v1.41/system/df?type=x")
        assert answer.json()["BuildCache"] == records
        answer = await ask("GET", "/v1.52/system/df?type=build-cache&verbose=1")
        assert answer.json()["BuildCacheUsage"] == {
            "ActiveCount": 1,
            "TotalCount": 3,
            "Reclaimable": 5,
            "TotalSize": 12,
            "Items": records,
        }
    assert asked == [{"image", "volume"}, {"container", "image", "volume"}, set()]


def test_negotiation() -> None:
    assert negotiate("application/json-seq, */*", "d") == "application/json-seq"
    assert negotiate("*/*", "d") == "d"
    assert negotiate("application/x-ndjson;q=1", "d") == "application/x-ndjson"
