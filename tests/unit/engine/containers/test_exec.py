from __future__ import annotations

import pytest

from pierhead.engine.config import ContainerConfig
from pierhead.engine.containers import exec, pause, start
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.model import ExecConfig
from pierhead.errors import Conflict, InvalidParameter, NotFound
from support.containers import Client, World, settle


async def running(world: World) -> Container:
    config = ContainerConfig(image="busybox", env=["A=1"], working_dir="/srv")
    made = await world.create(config=config)
    await start.start(world.ctx, made)
    return made


async def make(world: World, made: Container, *cmd: str, **more: object) -> str:
    config = ExecConfig(cmd=list(cmd), attach_stdout=True, **more)  # type: ignore[arg-type]
    return await exec.exec_create(world.ctx, made, config)


def prepare(world: World, exec_id: str) -> exec.ExecSession:
    return exec.prepare_exec(world.ctx, exec_id, detach=False, tty=None, console_size=None)


async def finish(world: World, code: int) -> None:
    from pierhead.runtime.conmon import ExitStatus

    newest = max(world.conmon.exits)
    world.conmon.exits[newest].set_result(ExitStatus(code, False, 1))
    world.conmon.attached[-1].out.put_nowait(None)
    await settle()


async def test_the_whole_life(world: World) -> None:
    made = await running(world)
    exec_id = await make(world, made, "ls", "-l", env=["B=2", "A=3"])
    before = exec.exec_inspect(world.ctx, exec_id)
    assert (before["Running"], before["ExitCode"], before["Pid"]) == (False, None, 0)
    client = Client()
    session = prepare(world, exec_id)
    world.conmon.calls.clear()
    import asyncio

    task = asyncio.get_running_loop().create_task(session.run(client))
    await settle()
    process = world.conmon.created["process"]
    assert process["args"] == ["ls", "-l"] and process["cwd"] == "/srv"
    assert {"A=3", "B=2"} <= set(process["env"]) and "A=1" not in process["env"]
    world.conmon.attached[-1].out.put_nowait((1, b"out"))
    world.conmon.attached[-1].out.put_nowait((2, b"stderr was not asked for"))
    await finish(world, 5)
    await task
    assert client.seen == [(1, b"out")]
    after = exec.exec_inspect(world.ctx, exec_id)
    assert (after["Running"], after["ExitCode"]) == (False, 5)
    assert world.events.actions[2:] == ["exec_create: ls -l", "exec_start: ls -l", "exec_die"]
    with pytest.raises(Conflict, match="has already run"):
        prepare(world, exec_id)


async def test_once_only(world: World) -> None:
    exec_id = await make(world, await running(world), "ls")
    prepare(world, exec_id)
    with pytest.raises(Conflict, match="is already running"):
        prepare(world, exec_id)


async def test_not_found_is_told_on_the_stream(world: World) -> None:
    exec_id = await make(world, await running(world), "nope")
    world.conmon.fail_exec = "executable file `nope` not found in $PATH: No such file"
    client = Client()
    await prepare(world, exec_id).run(client)
    assert b'exec: "nope": executable file not found in $PATH: unknown' in client.seen[0][1]
    assert exec.exec_inspect(world.ctx, exec_id)["ExitCode"] == 127


async def test_detached_failures_are_raised(world: World) -> None:
    exec_id = await make(world, await running(world), "nope")
    world.conmon.fail_exec = "executable file `nope` not found in $PATH: No such file"
    with pytest.raises(InvalidParameter, match="OCI runtime exec failed"):
        await prepare(world, exec_id).run_detached()
    assert exec.exec_inspect(world.ctx, exec_id)["ExitCode"] == 127


async def test_too_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await running(world)
    exec_id = await make(world, made, "ls")
    world.conmon.fail_exec = "setns mnt: Bad file descriptor"
    monkeypatch.setattr(exec, "is_gone", lambda container: True)
    with pytest.raises(Conflict, match=f"container {made.id} is not running"):
        await prepare(world, exec_id).run_detached()


async def test_unknown_user_exits_126(world: World) -> None:
    exec_id = await make(world, await running(world), "id", user="captain")
    client = Client()
    await prepare(world, exec_id).run(client)
    assert b"unable to find user captain" in client.seen[0][1]
    assert exec.exec_inspect(world.ctx, exec_id)["ExitCode"] == 126


async def test_where_it_is_refused(world: World) -> None:
    stopped = await world.create("two")
    with pytest.raises(Conflict, match=f"container {stopped.id} is not running"):
        await make(world, stopped, "ls")
    made = await running(world)
    with pytest.raises(InvalidParameter, match="No exec command specified"):
        await make(world, made)
    with pytest.raises(InvalidParameter, match="Invalid detach keys"):
        await make(world, made, "ls", detach_keys="ctrl-1")
    with pytest.raises(NotFound, match="No such exec instance: nope"):
        exec.exec_inspect(world.ctx, "nope")
    await pause.pause(world.ctx, made)
    with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
        await make(world, made, "ls")


async def test_the_containers_end_is_its_end(world: World) -> None:
    made = await running(world)
    exec_id = await make(world, made, "sleep")
    await prepare(world, exec_id).run_detached()
    assert exec.exec_inspect(world.ctx, exec_id)["Running"]
    await world.exit(made, 0)
    found = exec.exec_inspect(world.ctx, exec_id)
    assert (found["Running"], found["ExitCode"]) == (False, 137)


async def test_resize(world: World) -> None:
    exec_id = await make(world, await running(world), "sh", tty=True)
    await prepare(world, exec_id).run_detached()
    await exec.exec_resize(world.ctx, exec_id, 40, 100)
    assert "resize 40 100" in world.conmon.calls


async def test_old_ones_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await running(world)
    exec_id = await make(world, made, "ls")
    world.ctx.execs.get(exec_id).ended(0)
    monkeypatch.setattr(exec, "KEPT_S", -1.0)
    await make(world, made, "ls")
    with pytest.raises(NotFound):
        exec.exec_inspect(world.ctx, exec_id)


async def test_a_new_pierd_knows_what_runs(world: World) -> None:
    made = await running(world)
    exec_id = await make(world, made, "sleep", "9", tty=True)
    world.ctx.paths.exec_dir(made.id, exec_id).mkdir(parents=True)
    await prepare(world, exec_id).run_detached()
    before = exec.exec_inspect(world.ctx, exec_id)
    world.ctx.execs = exec.ExecRegistry()
    made.execs.clear()
    exec.restore(world.ctx, made)
    assert exec.exec_inspect(world.ctx, exec_id) == before
    with pytest.raises(Conflict, match="already running"):
        prepare(world, exec_id)
    from pierhead.runtime.conmon import ExitStatus

    world.conmon.exits[max(world.conmon.exits)].set_result(ExitStatus(3, False, 1))
    await settle()
    after = exec.exec_inspect(world.ctx, exec_id)
    assert (after["Running"], after["ExitCode"]) == (False, 3)
