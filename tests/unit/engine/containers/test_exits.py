from __future__ import annotations

from pierhead.engine.config import RestartPolicy
from pierhead.engine.containers import start, wait
from pierhead.engine.containers.model import Phase
from support.containers import World, settle


async def test_an_exit_is_recorded_and_told(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    waiter = wait.register_wait(made, "next-exit")
    await world.exit(made, 3)
    assert await waiter == (3, None)
    status = made.status
    assert (status.phase, status.exit_code, status.pid) == (Phase.EXITED, 3, 0)
    assert status.finished_ns == 2_000_000_000 and status.ports == {}
    assert made.exited.is_set()
    assert world.networks.calls == ["attach", "detach"] and world.snapshots.mounted == set()
    action, attributes = world.events.seen[-1]
    assert action == "die" and attributes["exitCode"] == "3" and "execDuration" in attributes
    await settle()
    assert world.runtime.calls == ["delete"] and not world.paths.bundle(made.id).exists()


async def test_rm(world: World) -> None:
    made = await world.create(auto_remove=True)
    await start.start(world.ctx, made)
    waiter = wait.register_wait(made, "removed")
    await world.exit(made, 4)
    assert await waiter == (4, None)
    assert world.ctx.registry.all() == [] and world.snapshots.keys == set()
    assert world.events.actions == ["create", "start", "die", "destroy"]
    assert world.volumes.calls[-1] == "release True"
    await settle()
    assert not world.paths.container(made.id).exists()


async def test_oom(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    await world.exit(made, 137, oom_killed=True)
    assert made.status.oom_killed
    assert world.events.actions[-2:] == ["oom", "die"]


async def test_restart_policy(world: World) -> None:
    made = await world.create(restart_policy=RestartPolicy(name="always"))
    await start.start(world.ctx, made)
    await world.exit(made, 1)
    assert made.status.phase is Phase.RESTARTING and made.status.restart_count == 1
    assert made.active and not made.running
    assert made.restart_timer is not None
    timer = made.restart_timer
    timer._run()  # type: ignore[attr-defined]
    timer.cancel()
    await settle()
    assert made.status.phase is Phase.RUNNING and made.status.restart_count == 1


async def test_unknown_end_kills_what_may_be_left(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    await world.exit(made, 255, known=False)
    assert world.runtime.calls[0] == "delete"
    assert "conmon" in made.status.error
