from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.errors import Unavailable
from pierhead.linux import cgroups, process
from pierhead.runtime.crun import Runtime, RuntimeFailed, clean_message
from pierhead.store.paths import Paths

ID = "c" * 64


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """A program that fails whatever it is asked, so that what works works without it."""
    paths = Paths(tmp_path / "data", tmp_path / "run")
    paths.create()
    (tmp_path / "groups").mkdir()
    runtime = Runtime(paths, "/bin/false")
    runtime._layout = cgroups.Layout("v1", ("pids",), {"pids": tmp_path / "groups"})
    return runtime


@pytest.fixture
def sleeper() -> Iterator[int]:
    child = subprocess.Popen(["sleep", "60"])
    yield child.pid
    child.kill()
    child.wait()


def record(runtime: Runtime, pid: int) -> None:
    state = runtime.state_dir(ID)
    state.mkdir()
    status = {
        "pid": pid,
        "process-start-time": process.process_start_ticks(pid),
        "cgroup-path": "/pierhead/x",
        "systemd-cgroup": False,
    }
    (state / "status").write_text(json.dumps(status))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the OCI runtime failed without a message"),
        ("2026-11-24T05:14:24.000000Z: open `x`: No such file\n", "open `x`: No such file"),
        ("a\n\nb\na\n", "a; b"),
    ],
)
def test_messages_lose_their_decoration(text: str, message: str) -> None:
    assert clean_message(text) == message


def test_a_missing_runtime_names_the_package(runtime: Runtime) -> None:
    runtime.binary = "no-such-runtime"
    with pytest.raises(Unavailable, match="install the package no-such-runtime"):
        runtime.prepare()


async def test_deleting_what_is_unknown_is_fine(runtime: Runtime) -> None:
    await runtime.delete(ID)
    assert await runtime.state(ID) is None
    assert await runtime.list_ids() == []


async def test_an_ended_container_is_deleted_without_the_runtime(
    runtime: Runtime, tmp_path: Path
) -> None:
    record(runtime, 2**22 + 1)
    (tmp_path / "groups" / "pierhead" / "x").mkdir(parents=True)
    assert await runtime.list_ids() == [ID]
    await runtime.delete(ID)
    assert not runtime.state_dir(ID).exists()
    assert not (tmp_path / "groups" / "pierhead" / "x").exists()


async def test_a_running_one_is_the_runtime_s_business(runtime: Runtime, sleeper: int) -> None:
    record(runtime, sleeper)
    with pytest.raises(RuntimeFailed):
        await runtime.delete(ID)
    assert runtime.state_dir(ID).exists()


async def test_half_a_state_is_swept_away(runtime: Runtime) -> None:
    runtime.state_dir(ID).mkdir()
    (runtime.state_dir(ID) / "exec.fifo").touch()
    await runtime.delete(ID, force=True)
    assert not runtime.state_dir(ID).exists()


async def test_kill_is_a_system_call(runtime: Runtime, sleeper: int) -> None:
    record(runtime, sleeper)
    await runtime.kill(ID, 9)
    os.waitid(os.P_PID, sleeper, os.WEXITED | os.WNOWAIT)
    with pytest.raises(RuntimeFailed, match="not running"):
        await runtime.kill(ID, 9)
