from __future__ import annotations

import pytest

from pierhead.engine.config import ContainerConfig
from pierhead.engine.containers import start
from pierhead.engine.containers.prune import prune
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter
from support.containers import World


async def test_only_what_does_not_run(world: World) -> None:
    dead = await world.create("dead")
    alive = await world.create("alive")
    await start.start(world.ctx, alive)
    assert await prune(world.ctx, Filters()) == ([dead.id], 100)
    assert world.ctx.registry.all() == [alive]


async def test_filters(world: World) -> None:
    keep = await world.create("keep", ContainerConfig(image="busybox", labels={"keep": "1"}))
    await world.create("go")
    ids, _ = await prune(world.ctx, Filters({"label!": ["keep"]}))
    assert len(ids) == 1 and world.ctx.registry.all() == [keep]
    assert await prune(world.ctx, Filters({"until": ["1h"]})) == ([], 0)
    with pytest.raises(InvalidParameter, match="invalid filter 'status'"):
        await prune(world.ctx, Filters({"status": ["exited"]}))
    with pytest.raises(InvalidParameter, match="more than one until"):
        await prune(world.ctx, Filters({"until": ["1h", "2h"]}))
