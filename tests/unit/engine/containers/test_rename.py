from __future__ import annotations

import pytest

from pierhead.engine.containers.rename import rename
from pierhead.errors import Conflict, InvalidParameter
from support.containers import World


async def test_rename(world: World) -> None:
    made = await world.create()
    await rename(world.ctx, made, "/two")
    assert world.ctx.registry.get("two") is made and made.name == "two"
    assert world.networks.calls == ["rename two"]
    action, attributes = world.events.seen[-1]
    assert (action, attributes["oldName"], attributes["name"]) == ("rename", "/one", "two")
    await world.create("one")  # free again


async def test_refusals(world: World) -> None:
    made = await world.create()
    await world.create("two")
    for name, text in (
        ("", "Neither old nor new names may be empty"),
        ("/", "Neither old nor new names may be empty"),
        ("one", "same name as its current name"),
        ("b d", "Invalid container name"),
    ):
        with pytest.raises(InvalidParameter, match=text):
            await rename(world.ctx, made, name)
    with pytest.raises(Conflict, match="Error when allocating new name: Conflict"):
        await rename(world.ctx, made, "two")
    assert made.name == "one" and world.ctx.registry.get("one") is made
