"""Contexts by a request of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pierhead.build.buildkit import uploads
from pierhead.build.buildkit.uploads import Uploads
from pierhead.errors import InvalidParameter


async def chunks() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"


@pytest.mark.parametrize("sender_first", [True, False])
async def test_the_two_meet(sender_first: bool) -> None:
    both = Uploads()
    if sender_first:
        sending = asyncio.create_task(both.put("x", chunks()))
        await asyncio.sleep(0)
        taken = await both.take("x")
    else:
        taking = asyncio.create_task(both.take("x"))
        await asyncio.sleep(0)
        sending = asyncio.create_task(both.put("x", chunks()))
        taken = await taking
    assert [chunk async for chunk in taken] == [b"a", b"b"]
    await sending


async def test_nobody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MEET_S", 0.01)
    both = Uploads()
    with pytest.raises(InvalidParameter, match="was not sent"):
        await both.take("x")
    with pytest.raises(InvalidParameter, match="no build asked"):
        await both.put("x", chunks())
