from __future__ import annotations

import json

import pytest

from pierhead.engine.containers import attach, start
from pierhead.engine.containers.model import Phase
from pierhead.errors import Conflict, InvalidParameter, NotModified
from support.containers import Client, World, settle


async def test_start_in_order(world: World) -> None:
    made = await world.create(init=False)
    await start.start(world.ctx, made)
    assert world.conmon.calls == ["create", "start"]
    status = made.status
    assert status.phase is Phase.RUNNING and status.pid and status.started_ns
    assert status.ports == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}
    assert status.sandbox_key == f"/proc/{status.pid}/ns/net"
    spec = json.loads((world.paths.bundle(made.id) / "config.json").read_bytes())
    assert spec["process"]["args"] == ["sh"]
    destinations = [mount["destination"] for mount in spec["mounts"]]
    assert {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} <= set(destinations)
    assert world.events.actions == ["create", "start"]
    with pytest.raises(NotModified):
        await start.start(world.ctx, made)


async def test_streams_are_there_before_the_process_runs(world: World) -> None:
    made = await world.create()
    client = Client()
    session = attach.prepare_attach(
        world.ctx,
        made,
        stdin=False,
        stdout=True,
        stderr=True,
        stream=True,
        logs=False,
        detach_keys=None,
    )
    await start.start(world.ctx, made)
    assert world.conmon.calls == ["create", "attach", "start"]
    world.conmon.attached[0].out.put_nowait((1, b"early"))
    world.conmon.attached[0].out.put_nowait(None)
    await session.run(client)
    assert client.seen == [(1, b"early")] and world.conmon.attached[0].closed


async def test_program_not_found(world: World) -> None:
    made = await world.create()
    session = attach.prepare_attach(
        world.ctx, made, stdin=False, stdout=True, stderr=True, stream=True, logs=False,
        detach_keys=None,
    )  # fmt: skip
    world.conmon.fail_create = "executable file `sh` not found in $PATH: No such file"
    with pytest.raises(InvalidParameter, match="executable file not found in"):
        await start.start(world.ctx, made)
    status = made.status
    assert (status.phase, status.exit_code) == (Phase.CREATED, 127)
    assert "executable file not found" in status.error
    assert world.networks.calls == ["attach", "detach"]
    assert world.snapshots.mounted == set()
    await session.run(Client())  # ends at once
    await settle()
    assert not world.paths.bundle(made.id).exists()
    world.conmon.fail_create = ""
    await start.start(world.ctx, made)
    assert made.status.error == ""


async def test_a_failed_start_of_rm_removes(world: World) -> None:
    made = await world.create(auto_remove=True)
    world.conmon.fail_create = "no"
    with pytest.raises(Exception, match="failed to create task"):
        await start.start(world.ctx, made)
    assert world.ctx.registry.all() == []
    assert world.events.actions == ["create", "destroy"]


async def test_network_failure_undoes_the_mount(world: World) -> None:
    made = await world.create()
    world.networks.fail = Conflict("port is already allocated")
    with pytest.raises(Conflict):
        await start.start(world.ctx, made)
    assert world.snapshots.mounted == set() and world.conmon.calls == []
    assert world.conmon.abandoned == 1
    assert (made.status.exit_code, made.status.error) == (128, "port is already allocated")


async def test_states_that_can_not_start(world: World) -> None:
    made = await world.create()
    for phase, text in (
        (Phase.PAUSED, "try unpause"),
        (Phase.REMOVING, "marked for removal"),
        (Phase.DEAD, "marked for removal"),
    ):
        made.status.phase = phase
        with pytest.raises(Conflict, match=text):
            await start.start(world.ctx, made)
    made.status.phase = Phase.CREATED


async def test_joining_needs_the_other_to_run(world: World) -> None:
    other = await world.create("other")
    made = await world.create("one", network_mode="container:other")
    with pytest.raises(Conflict, match="cannot join network of a non running container"):
        await start.start(world.ctx, made)
    await start.start(world.ctx, other)
    await start.start(world.ctx, made)
    assert made.running
