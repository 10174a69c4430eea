from __future__ import annotations

import pytest

from pierhead.engine.config import RestartPolicy
from pierhead.engine.containers import recovery, start
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.registry import Registry
from pierhead.runtime.conmon import ExitStatus
from support.containers import World, settle


@pytest.fixture(autouse=True)
def no_strays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests look at no real process."""
    monkeypatch.setattr(recovery, "kill_strays", lambda ctx, live: None)


async def reborn(world: World) -> Registry:
    """A new pierd on the same database."""
    for container in world.ctx.registry.all():
        if container.monitor is not None:
            container.monitor.cancel()
        container.cancel_restart()
    world.ctx.registry = Registry(world.db)
    world.ctx.registry.load()
    ended = recovery.survey(world.ctx)
    await recovery.recover(world.ctx, ended)
    await settle()
    return world.ctx.registry


async def running(world: World, name: str, **host: object) -> Container:
    made = await world.create(name, **host)
    await start.start(world.ctx, made)
    return made


async def test_the_living_are_watched_again(world: World) -> None:
    made = await running(world, "one")
    registry = await reborn(world)
    again = registry.get("one")
    assert again.status.phase is Phase.RUNNING and again.status.pid == made.status.pid
    await world.exit(again, 6)
    assert again.status.exit_code == 6


async def test_an_end_nobody_saw(world: World) -> None:
    made = await running(world, "one")
    gone = await running(world, "gone", auto_remove=True)
    for one, code in ((made, 6), (gone, 0)):
        world.conmon.exits[one.status.conmon_pid].set_result(ExitStatus(code, False, 5))
    registry = await reborn(world)
    found = registry.get("one").status
    assert (found.phase, found.exit_code) == (Phase.EXITED, 6)
    assert [c.name for c in registry.all()] == ["one"]


async def test_half_made_ones_go(world: World) -> None:
    made = await world.create("one")
    made.status.creating = True
    world.ctx.registry.save_status(made)
    registry = await reborn(world)
    assert registry.all() == [] and world.snapshots.keys == set()


async def test_half_removed_ones_go(world: World) -> None:
    made = await world.create("one")
    made.status.phase = Phase.REMOVING
    world.ctx.registry.save_status(made)
    registry = await reborn(world)
    assert registry.all() == [] and world.snapshots.keys == set()


async def test_a_promised_removal_is_kept(world: World) -> None:
    made = await world.create("one", auto_remove=True)
    made.status.phase = Phase.EXITED
    made.status.remove_on_exit = True
    world.ctx.registry.save_status(made)
    registry = await reborn(world)
    assert registry.all() == [] and world.snapshots.keys == set()


async def test_restart_policies(world: World) -> None:
    always = await running(world, "always", restart_policy=RestartPolicy(name="always"))
    unless = await running(world, "unless", restart_policy=RestartPolicy(name="unless-stopped"))
    for one in (always, unless):
        one.status.manually_stopped = True
        await world.exit(one)
    await world.create("never-started", restart_policy=RestartPolicy(name="always"))
    registry = await reborn(world)
    assert registry.get("always").status.phase is Phase.RESTARTING
    assert registry.get("unless").status.phase is Phase.EXITED
    assert registry.get("never-started").status.phase is Phase.CREATED


async def test_what_belongs_to_nobody_is_swept(world: World) -> None:
    made = await running(world, "one")
    (world.paths.bundles / "stray" / "rootfs").mkdir(parents=True)
    (world.paths.exits / "stray").write_text("0")
    (world.paths.container("stray")).mkdir()
    world.runtime.ids = [made.id, "stray"]
    await reborn(world)
    assert not (world.paths.bundles / "stray").exists()
    assert not (world.paths.exits / "stray").exists()
    assert not world.paths.container("stray").exists()
    assert world.paths.bundle(made.id).exists()
    assert world.runtime.calls == ["delete"]


def test_strays() -> None:
    marks = (b"/run/x/containers/", b"--root=/run/x/crun")
    live = {"abc"}

    def stray(*argv: str) -> bool:
        return recovery.is_stray([word.encode() for word in argv], marks, live)

    assert stray("/usr/bin/conmon", "-c", "dead", "-b", "/run/x/containers/dead")
    assert not stray("/usr/bin/conmon", "-c", "abc", "-b", "/run/x/containers/abc")
    assert not stray("/usr/bin/conmon", "-c", "dead", "-b", "/run/y/containers/dead")
    assert stray("crun", "--root=/run/x/crun", "create", "dead")
    assert not stray("crun", "--root=/run/x/crun", "create", "abc")
    assert not stray("crun", "--root=/run/y/crun", "create", "dead")
    assert not stray("vi", "/run/x/containers/dead")
    assert not recovery.is_stray([], marks, live)
