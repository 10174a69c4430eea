from __future__ import annotations

from pierhead.engine.containers import start
from support.containers import World, settle


async def test_told_once_while_the_container_goes_on(world: World) -> None:
    made = await world.create(memory=64 << 20)
    await start.start(world.ctx, made)
    (world.paths.bundle(made.id) / "oom").touch()
    await settle()
    assert made.status.oom_killed and made.running
    assert world.events.actions[-1] == "oom"
    await world.exit(made, 137, oom_killed=True)
    assert world.events.actions[-2:] == ["oom", "die"]
    await start.start(world.ctx, made)
    assert not made.status.oom_killed


async def test_only_with_a_limit(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    assert made.oom_watch is None
