from __future__ import annotations

import asyncio

import pytest

from pierhead.engine.config import ContainerConfig, RestartPolicy
from pierhead.engine.containers import pause, start, stop
from pierhead.engine.containers.model import Phase
from pierhead.errors import Conflict, InvalidParameter, NotModified
from pierhead.runtime.crun import RuntimeFailed
from support.containers import World


async def test_stop(world: World) -> None:
    made = await world.create(restart_policy=RestartPolicy(name="always"))
    await start.start(world.ctx, made)
    await stop.stop(world.ctx, made, signal=None, timeout_s=None)
    assert (made.status.phase, made.status.exit_code) == (Phase.EXITED, 143)
    assert made.status.manually_stopped
    assert world.events.actions[-3:] == ["kill", "die", "stop"]
    with pytest.raises(NotModified):
        await stop.stop(world.ctx, made, signal=None, timeout_s=None)


async def test_stop_signal_then_kill(world: World) -> None:
    config = ContainerConfig(image="busybox", stop_signal="SIGINT", stop_timeout=0)
    made = await world.create(config=config)
    await start.start(world.ctx, made)
    await stop.stop(world.ctx, made, signal=None, timeout_s=None)
    assert world.delivered == [2, 9] and made.status.exit_code == 137


async def test_kill(world: World) -> None:
    made = await world.create()
    with pytest.raises(Conflict, match="is not running"):
        await stop.kill(world.ctx, made, None)
    with pytest.raises(InvalidParameter, match="invalid signal: X"):
        await stop.kill(world.ctx, made, "X")
    await start.start(world.ctx, made)
    await stop.kill(world.ctx, made, "HUP")
    assert world.delivered == [1] and made.running
    await stop.kill(world.ctx, made, None)
    assert made.status.exit_code == 137
    assert world.events.seen[2][1]["signal"] == "1"


async def test_other_signals_do_not_stop_the_restart_policy(world: World) -> None:
    config = ContainerConfig(image="busybox", stop_signal="SIGTERM")
    made = await world.create(config=config)
    await start.start(world.ctx, made)
    await stop.kill(world.ctx, made, "HUP")
    assert not made.status.manually_stopped
    await stop.kill(world.ctx, made, "TERM")
    assert made.status.manually_stopped


async def test_a_paused_container_is_woken_to_die(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    await pause.pause(world.ctx, made)
    await stop.stop(world.ctx, made, signal=None, timeout_s=1)
    assert "resume" in world.runtime.calls and made.status.phase is Phase.EXITED


async def test_between_two_tries_of_the_policy(world: World) -> None:
    made = await world.create(restart_policy=RestartPolicy(name="always"))
    await start.start(world.ctx, made)
    await world.exit(made, 1)
    await stop.stop(world.ctx, made, signal=None, timeout_s=1)
    assert made.status.phase is Phase.EXITED and made.restart_timer is None


async def test_restart(world: World) -> None:
    made = await world.create(auto_remove=True)
    await start.start(world.ctx, made)
    await stop.restart(world.ctx, made, signal=None, timeout_s=None)
    assert made.running and not made.status.manually_restarted
    assert world.events.actions == ["create", "start", "kill", "die", "stop", "start", "restart"]
    await world.exit(made)
    assert world.ctx.registry.all() == []


async def test_restart_of_one_that_does_not_run(world: World) -> None:
    made = await world.create()
    await stop.restart(world.ctx, made, signal=None, timeout_s=None)
    assert made.running


async def test_a_monitor_that_is_slow_to_tell(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to be killed, and the exit is only seen in the second wait."""
    made = await world.create()
    await start.start(world.ctx, made)
    exits: list[asyncio.Task[None]] = []

    async def kill(container_id: str, signal: int, *, all: bool = False) -> None:
        exits.append(asyncio.create_task(world.exit(made, 137)))
        raise RuntimeFailed("container not running")

    monkeypatch.setattr(world.runtime, "kill", kill, raising=False)
    monkeypatch.setattr(stop, "send_signal", lambda container, number: True)
    monkeypatch.setattr(stop, "KILL_GRACE_S", 0.5)
    await stop.kill_and_wait(world.ctx, made)
    assert made.status.exit_code == 137
    await exits[0]
