from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pierhead.engine.config import ContainerConfig
from pierhead.engine.containers import attach, remove, start
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.model import Phase
from pierhead.errors import Conflict
from support.containers import Client, World, settle


def prepare(world: World, made: Container, **more: Any) -> attach.AttachSession:
    options: dict[str, Any] = {
        "stdin": True,
        "stdout": True,
        "stderr": True,
        "stream": True,
        "logs": False,
        "detach_keys": None,
    }
    return attach.prepare_attach(world.ctx, made, **{**options, **more})


def serve(session: attach.AttachSession, client: Client) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(session.run(client))


async def interactive(world: World, **fields: Any) -> Container:
    config = ContainerConfig(image="busybox", open_stdin=True, **fields)
    return await world.create(config=config)


async def test_input_reaches_the_process(world: World) -> None:
    made = await interactive(world)
    client = Client()
    client.typed.put_nowait(b"typed before the start")
    task = serve(prepare(world, made), client)
    await start.start(world.ctx, made)
    await settle()
    assert world.conmon.attached[0].stdin == b"typed before the start"
    world.conmon.attached[0].out.put_nowait(None)
    await task
    assert world.events.actions == ["create", "attach", "start"]


async def test_stdin_only_if_the_container_has_it(world: World) -> None:
    made = await world.create()
    client = Client()
    client.typed.put_nowait(b"x")
    task = serve(prepare(world, made), client)
    await start.start(world.ctx, made)
    await settle()
    assert world.conmon.attached[0].stdin == b""
    world.conmon.attached[0].out.put_nowait(None)
    await task


async def test_detach_keys_of_a_terminal(world: World) -> None:
    made = await interactive(world, tty=True)
    client = Client()
    task = serve(prepare(world, made), client)
    await start.start(world.ctx, made)
    client.typed.put_nowait(b"a\x10\x11")
    await task
    assert world.events.actions[-1] == "detach"
    assert world.conmon.attached[0].closed and made.running


async def test_a_client_that_gives_up_before_the_start(world: World) -> None:
    made = await world.create()
    client = Client()
    task = serve(prepare(world, made), client)
    await settle()
    client.gone.set()
    await task
    assert made.pending_attaches == []


async def test_removal_ends_those_that_wait(world: World) -> None:
    made = await world.create()
    task = serve(prepare(world, made), Client())
    await settle()
    await remove.remove(world.ctx, made, "one", force=False, volumes=False, link=False)
    await task


async def test_leaving_does_not_close_somebody_elses_stdin(world: World) -> None:
    made = await interactive(world, stdin_once=True)
    writer, reader = Client(), Client()
    first = serve(prepare(world, made), writer)
    second = serve(prepare(world, made, stdin=False), reader)
    await start.start(world.ctx, made)
    await settle()
    reader.gone.set()
    await second
    assert not world.conmon.attached[1].closed  # drained until the process ends
    world.conmon.attached[1].out.put_nowait(None)
    world.conmon.attached[0].out.put_nowait(None)
    await first
    await settle()
    assert world.conmon.attached[1].closed


async def test_states_that_refuse(world: World) -> None:
    made = await world.create()
    made.status.phase = Phase.PAUSED
    with pytest.raises(Conflict, match="unpause the container before attach"):
        prepare(world, made)
    made.status.phase = Phase.RESTARTING
    with pytest.raises(Conflict, match="wait until the container is running"):
        prepare(world, made)
    made.status.phase = Phase.CREATED


async def test_logs_are_replayed(world: World) -> None:
    made = await world.create()
    log = world.ctx.log_path(made.id)
    log.write_bytes(b"2026-01-02T03:04:05.123456789+00:00 stdout F before\n")
    client = Client()
    await prepare(world, made, stream=False, logs=True).run(client)
    assert client.seen == [(1, b"before\n")]


async def test_resize(world: World) -> None:
    made = await world.create()
    with pytest.raises(Conflict, match="is not running"):
        await attach.resize(world.ctx, made, 1, 2)
    await start.start(world.ctx, made)
    await attach.resize(world.ctx, made, 30, 90)
    assert "resize 30 90" in world.conmon.calls
    assert world.events.seen[-1][1]["height"] == "30"
