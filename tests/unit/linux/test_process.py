from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
from pathlib import Path

import pytest

from pierhead.linux import process, syscalls


async def test_output_status_and_input() -> None:
    done = await process.run(
        ["sh", "-c", "cat; echo err >&2; exit 3"], input=b"in", env={"PATH": "/usr/bin:/bin"}
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, b"in", b"err\n")


async def test_a_signal_is_a_negative_status() -> None:
    assert (await process.run(["sh", "-c", "kill -TERM $$"])).returncode == -signal.SIGTERM


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await process.run(["no-such-program"])
    with pytest.raises(PermissionError, match="/etc/passwd"):
        await process.run(["/etc/passwd"])


async def test_the_directory() -> None:
    assert (await process.run(["pwd"], cwd="/usr")).stdout == b"/usr\n"


async def test_nothing_is_inherited_but_what_is_passed() -> None:
    read, write = os.pipe()
    try:
        done = await process.run(["ls", "/proc/self/fd"], pass_fds=(write,))
    finally:
        os.close(read)
        os.close(write)
    fds = set(done.stdout.decode().split())
    assert str(write) in fds
    assert str(read) not in fds


async def test_a_time_out_kills() -> None:
    with pytest.raises(TimeoutError):
        await process.run(["sleep", "60"], timeout_s=0.05)


async def test_cancellation_kills_and_reaps() -> None:
    child = process.spawn(["sleep", "60"])
    waiting = asyncio.ensure_future(child.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert process.process_start_ticks(child.pid) is not None
    child.kill()
    assert await child.wait() == -signal.SIGKILL
    assert await child.wait() == -signal.SIGKILL
    child.kill()
    assert process.process_start_ticks(child.pid) is None


async def test_children_start_with_default_signals() -> None:
    done = await process.run(["grep", "SigIgn", "/proc/self/status"])
    assert done.stdout.split() == [b"SigIgn:", b"0000000000000000"]


async def test_output_of_a_grandchild_is_not_waited_for() -> None:
    async with asyncio.timeout(5):
        done = await process.run(["sh", "-c", "sleep 30 & echo $!"])
    os.kill(int(done.stdout), signal.SIGKILL)


def test_start_ticks_identify_a_process() -> None:
    assert process.process_start_ticks(os.getpid()) == process.process_start_ticks(os.getpid())
    assert process.process_start_ticks(2**22 + 1) is None


async def test_no_descriptor_is_lost() -> None:
    await process.run(["true"])
    gc.collect()  # what earlier tests left for the collector must not close meanwhile
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await process.run(["true"], input=b"x")
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_orphans_that_nobody_waits_for_are_collected_by_name(tmp_path: Path) -> None:
    orphan = tmp_path / "orphan"  # a name that no other test leaves
    orphan.symlink_to(shutil.which("sleep") or "")
    process.become_subreaper()
    try:
        done = await process.run(["sh", "-c", f"{orphan} 0.01 & exec true"])
        assert done.returncode == 0
        child = process.spawn([str(orphan), "0.01"])  # has somebody who waits
        async with asyncio.timeout(30):
            while process.reap_orphans("orphan") == 0:
                await asyncio.sleep(0.005)
        assert await child.wait() == 0
        assert process.reap_orphans("orphan") == 0
    finally:
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 0)
