"""With a shell script in conmon's place that says what conmon would."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from pierhead.errors import Unavailable
from pierhead.linux import process
from pierhead.runtime.conmon import Conmon
from pierhead.runtime.crun import Runtime, RuntimeFailed
from pierhead.store.paths import Paths

ID = "c" * 64


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "data", tmp_path / "run")
    paths.create()
    paths.bundle(ID).mkdir()
    return paths


def fake(paths: Paths, script: str) -> Conmon:
    program = paths.exec_root / "conmon"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Conmon(paths, Runtime(paths, "/bin/true"), str(program))


async def create(conmon: Conmon, paths: Paths, **options: bool) -> object:
    return await conmon.create(id=ID, bundle=paths.bundle(ID), log_path=None, **options)


async def test_the_pid_and_the_exit_code(paths: Paths) -> None:
    conmon = fake(
        paths,
        f"""echo '{{"data": 77}}' > /proc/self/fd/$_OCI_SYNCPIPE
        echo -n 5 > {paths.exits}/{ID}""",
    )
    started = await conmon.create(id=ID, bundle=paths.bundle(ID), log_path=None)
    assert started.pid == 77
    status = await conmon.wait_exit(
        started.conmon_pid, started.conmon_start_ticks, paths.exits / ID
    )
    assert (status.exit_code, status.known, status.oom_killed) == (5, True, False)


async def test_the_arguments(paths: Paths) -> None:
    conmon = fake(
        paths,
        """echo "$@" > args; pwd > cwd
        echo '{"data": 77}' > /proc/self/fd/$_OCI_SYNCPIPE""",
    )
    started = await conmon.create(
        id=ID,
        bundle=paths.bundle(ID),
        log_path=Path("/log"),
        terminal=True,
        stdin=True,
        leave_stdin_open=True,
    )
    await conmon.wait_exit(started.conmon_pid, started.conmon_start_ticks, paths.exits / ID)
    words = (paths.bundle(ID) / "args").read_text().split()
    assert {"-t", "-i", "--leave-stdin-open", "--sync", "--full-attach"} <= set(words)
    assert words[words.index("-l") + 1] == "k8s-file:/log"
    assert words[words.index("--runtime-arg") + 1] == f"--root={paths.runtime_root}"
    assert (paths.bundle(ID) / "cwd").read_text().strip() == str(paths.bundle(ID))


async def test_the_runtime_s_message(paths: Paths) -> None:
    conmon = fake(
        paths,
        r"""echo '{"data": -1, "message": "2026-11-24T05:14:24.000000Z: executable"}' \
        > /proc/self/fd/$_OCI_SYNCPIPE""",
    )
    with pytest.raises(RuntimeFailed, match=r"^executable$"):
        await create(conmon, paths)
    assert conmon._children == {}


async def test_a_conmon_that_dies_without_a_word(paths: Paths) -> None:
    with pytest.raises(RuntimeFailed, match="conmon ended"):
        await create(fake(paths, "exit 1"), paths)


async def test_cancelling_a_create_leaves_no_process(paths: Paths) -> None:
    conmon = fake(paths, f"echo $$ > {paths.exec_root}/pid; exec sleep 60")
    task = asyncio.ensure_future(create(conmon, paths))
    pid_file = paths.exec_root / "pid"
    while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.process_start_ticks(int(pid_file.read_text())) is None


async def test_one_that_was_killed_left_no_code(paths: Paths) -> None:
    conmon = fake(
        paths, """echo '{"data": 77}' > /proc/self/fd/$_OCI_SYNCPIPE; touch oom; exec sleep 60"""
    )
    started = await conmon.create(id=ID, bundle=paths.bundle(ID), log_path=None)
    assert conmon.is_alive(started.conmon_pid, started.conmon_start_ticks)
    assert not conmon.is_alive(started.conmon_pid, started.conmon_start_ticks + 1)
    while not (paths.bundle(ID) / "oom").exists():
        await asyncio.sleep(0.01)
    os.kill(started.conmon_pid, signal.SIGKILL)
    status = await conmon.wait_exit(
        started.conmon_pid, started.conmon_start_ticks, paths.exits / ID, directory=paths.bundle(ID)
    )
    assert (status.exit_code, status.known, status.oom_killed) == (255, False, True)


async def test_one_of_an_earlier_daemon(paths: Paths) -> None:
    """Not in our table, ended long ago: only the file speaks; another process with its number
    is not waited for."""
    conmon = fake(paths, "exit 0")
    (paths.exits / ID).write_text("7")
    os.utime(paths.exits / ID, ns=(1, 123_000_000_000))
    async with asyncio.timeout(5):
        status = await conmon.wait_exit(os.getpid(), 1, paths.exits / ID)
    assert (status.exit_code, status.finished_ns) == (7, 123_000_000_000)


async def test_control_lines(paths: Paths) -> None:
    conmon = fake(paths, "exit 0")
    fifo = paths.bundle(ID) / "ctl"
    await conmon.resize(paths.bundle(ID), 24, 80)  # nobody there: nothing happens
    os.mkfifo(fifo)
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        await conmon.resize(paths.bundle(ID), 24, 5000)
        await conmon.reopen_logs(paths.bundle(ID))
        assert os.read(fd, 100) == b"1 24 1000\n2 0 0\n"
    finally:
        os.close(fd)


async def test_the_start_writes_the_exec_fifo(paths: Paths) -> None:
    conmon = fake(paths, "exit 0")
    state = conmon.runtime.state_dir(ID)
    state.mkdir()
    os.mkfifo(state / "exec.fifo")
    fd = os.open(state / "exec.fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        await conmon.start(ID)
        assert os.read(fd, 10) == b"\0"
        assert not (state / "exec.fifo").exists()
    finally:
        os.close(fd)


def test_a_missing_conmon_names_the_package(paths: Paths) -> None:
    with pytest.raises(Unavailable, match="package conmon"):
        Conmon(paths, Runtime(paths), "no-such-conmon").prepare()
