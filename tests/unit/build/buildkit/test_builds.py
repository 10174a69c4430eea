"""Builds under way, and who reads what they tell."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pierhead.build.buildkit.builds import KEPT, Build, Builds, Feed
from pierhead.build.model import Event
from pierhead.errors import Conflict, NotFound


def build_of(ref: str) -> Build:
    client: Any = None
    return Build(ref=ref, client=client)


async def read(feed: Feed) -> list[int]:
    return [event.time_ns async for batch in feed.batches() for event in batch]


async def test_every_reader_gets_everything() -> None:
    feed = Feed()
    feed.add(Event(time_ns=1))
    early = asyncio.create_task(read(feed))
    await asyncio.sleep(0)
    feed.add(Event(time_ns=2))
    feed.finish()
    assert await early == [1, 2]
    assert await read(feed) == [1, 2]


async def test_calls_may_overtake_the_one_that_opens_it() -> None:
    builds = Builds()
    waiting = asyncio.create_task(builds.get("r"))
    await asyncio.sleep(0)
    build = build_of("r")
    await builds.add(build)
    assert await waiting is build
    with pytest.raises(Conflict, match="job ID r exists"):
        await builds.add(build_of("r"))
    with pytest.raises(NotFound, match="no such job other"):
        await builds.get("other", timeout_s=0.01)


async def test_the_end_of_a_build() -> None:
    builds = Builds()
    build = build_of("r")
    await builds.add(build)
    working = asyncio.create_task(asyncio.Event().wait())
    build.working.add(working)
    builds.remove(build)
    assert build.returned.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await working
    with pytest.raises(NotFound):
        await builds.get("r", timeout_s=0.01)
    assert await builds.watch("r", timeout_s=0.01) is build  # its status can still be read
    assert not builds.known("r")


async def test_unread_ends_are_not_kept_for_ever() -> None:
    builds = Builds()
    for number in range(KEPT + 3):
        build = build_of(str(number))
        await builds.add(build)
        builds.remove(build)
    assert not builds.known("2")
    assert builds.known("3")


async def test_references_to_results() -> None:
    builds = Builds()
    build = build_of("r")
    await builds.add(build)
    ref = build.add_ref()
    assert build.find(ref.id) is ref
    assert builds.of_result(ref.id) is ref
    assert builds.of_result("x") is None
    with pytest.raises(NotFound, match="no such ref: x"):
        build.find("x")
