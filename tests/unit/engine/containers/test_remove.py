from __future__ import annotations

import pytest

from pierhead.engine.containers import remove, start, wait
from pierhead.engine.containers.model import Phase
from pierhead.errors import Conflict, Internal
from support.containers import World, settle


async def rm(world: World, name: str, *, force: bool = False, volumes: bool = False) -> None:
    found = world.ctx.registry.get(name)
    await remove.remove(world.ctx, found, name, force=force, volumes=volumes, link=False)


async def test_remove(world: World) -> None:
    made = await world.create()
    await rm(world, "one", volumes=True)
    assert world.ctx.registry.all() == [] and world.snapshots.keys == set()
    assert world.volumes.calls == ["release True"] and world.networks.calls == ["forget"]
    assert world.events.actions == ["create", "destroy"]
    await settle()
    assert not world.paths.container(made.id).exists()


async def test_running_ones_need_force(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    with pytest.raises(Conflict) as caught:
        await rm(world, "one")
    assert caught.value.message == (
        'cannot remove container "/one": container is running: '
        "stop the container before removing or force remove"
    )
    await rm(world, "one", force=True)
    assert world.ctx.registry.all() == [] and world.delivered == [9]


async def test_force_of_an_rm_container_removes_it_once(world: World) -> None:
    made = await world.create(auto_remove=True)
    await start.start(world.ctx, made)
    await rm(world, "one", force=True)
    assert world.events.actions.count("destroy") == 1


async def test_a_failure_leaves_it_dead_and_can_be_tried_again(world: World) -> None:
    made = await world.create()
    waiter = wait.register_wait(made, "removed")
    world.snapshots.fail_remove = Internal("disk on fire")
    with pytest.raises(Internal):
        await rm(world, "one")
    assert made.status.phase is Phase.DEAD and made.status.error == "disk on fire"
    assert await waiter == (0, "disk on fire")
    world.snapshots.fail_remove = None
    await rm(world, "one")
    assert world.ctx.registry.all() == []


async def test_twice_at_once(world: World) -> None:
    made = await world.create()
    made.removing = True
    with pytest.raises(Conflict, match="removal of container one is already in progress"):
        await rm(world, "one")
