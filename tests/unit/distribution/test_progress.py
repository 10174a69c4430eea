"""Messages to a client: what is kept of them when it is slow, and how the work ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pierhead.distribution.progress import Progress, following
from pierhead.errors import NotFound


def drain(progress: Progress) -> list[dict[str, Any]]:
    found = []
    while (message := progress.take()) is not None:
        found.append(message)
    return found


def test_docker_form() -> None:
    progress = Progress()
    progress.status("Pulling from library/x", "latest")
    progress.mark("abc", "Pulling fs layer")
    progress.update("abc", "Downloading", 50, 100)
    progress.status("Digest: sha256:1")
    assert drain(progress) == [
        {"status": "Pulling from library/x", "id": "latest"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "abc"},
        {
            "status": "Downloading",
            "progressDetail": {"current": 50, "total": 100},
            "progress": "[=========================>                        ]      50B/100B",
            "id": "abc",
        },
        {"status": "Digest: sha256:1"},
    ]


def test_a_slow_client_gets_the_newest_bar_and_every_mark() -> None:
    now = 0.0
    progress = Progress(lambda: now)
    for current in range(0, 100, 10):
        now += 1
        progress.update("a", "Downloading", current, 100)
        progress.update("b", "Downloading", current, 100)
    progress.mark("a", "Download complete")
    now += 1
    progress.update("a", "Extracting", 100, 100)
    shown = [(m["id"], m["status"], m["progressDetail"].get("current")) for m in drain(progress)]
    assert shown == [
        ("a", "Downloading", 90),
        ("b", "Downloading", 90),
        ("a", "Download complete", None),
        ("a", "Extracting", 100),
    ]


def test_updates_are_rare_but_the_last_one_comes() -> None:
    now = 0.0
    progress = Progress(lambda: now)
    shown = []
    for current in range(1, 101):
        now += 0.01
        progress.update("a", "Downloading", current, 100)
        shown += [message["progressDetail"]["current"] for message in drain(progress)]
    assert len(shown) <= 12 and shown[-1] == 100


def test_notes_take_the_place_of_the_bar() -> None:
    progress = Progress()
    progress.note("a", "Retrying in 2 seconds")
    progress.note("a", "Retrying in 1 second")
    assert drain(progress) == [{"id": "a", "status": "Retrying in 1 second", "progressDetail": {}}]


async def test_following_yields_then_raises() -> None:
    progress = Progress()

    async def work() -> None:
        progress.status("one")
        await asyncio.sleep(0)
        progress.status("two")
        raise NotFound("gone")

    seen = []
    with pytest.raises(NotFound, match="gone"):
        async for message in following(progress, work()):
            seen.append(message["status"])
    assert seen == ["one", "two"]


async def test_closing_cancels_the_work_and_waits_for_it() -> None:
    progress = Progress()
    ended = []

    async def work() -> None:
        progress.status("one")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    messages = following(progress, work())
    assert (await anext(messages))["status"] == "one"
    await messages.aclose()  # type: ignore[attr-defined]
    assert ended == [True]
