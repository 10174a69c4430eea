from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest

from pierhead.linux import process, template, worker


async def test_workers_are_forked_from_one_process_and_are_our_children() -> None:
    first = await worker.start("linux.mounts:_unescape", {"text": "x"})
    one = template.template()
    second = await worker.start("linux.mounts:_unescape", {"text": "x"})
    assert template.template() is one
    assert len({first.pid, second.pid, one.pid}) == 3
    await first.result()
    await second.result()
    # waited for by us, so they were ours
    assert first._child.returncode == second._child.returncode == 0


async def test_many_at_once() -> None:
    texts = [str(number) for number in range(30)]
    results = await asyncio.gather(
        *(worker.call("linux.mounts:_unescape", {"text": text}) for text in texts)
    )
    assert results == texts


async def test_a_big_request_and_result() -> None:
    text = "x" * (3 << 20)
    assert await worker.call("linux.mounts:_unescape", {"text": text}) == text


async def test_descriptors_keep_their_numbers_whatever_the_order(tmp_path: Path) -> None:
    fds = []
    try:
        for name in ("a", "b", "c", "d"):
            (tmp_path / name).mkdir()
            (tmp_path / name / name).write_text(name)
            fds.append(os.open(tmp_path / name, os.O_RDONLY | os.O_DIRECTORY))
        for source, target in (0, 1), (2, 3):
            await worker.call(
                "store.trees:copy_tree",
                {"source_fd": fds[source], "target_fd": fds[target]},
                pass_fds=(*reversed(fds),),
                site_packages=True,
            )
    finally:
        for fd in fds:
            os.close(fd)
    assert [sorted(os.listdir(tmp_path / name)) for name in "abcd"] == [
        ["a"],
        ["a", "b"],
        ["c"],
        ["c", "d"],
    ]


async def test_streams() -> None:
    source, target = process.memory_file("source", b"bytes"), os.memfd_create("target")
    try:
        for _ in range(2):
            os.lseek(source, 0, os.SEEK_SET)
            call = worker.call(
                "store.tarcopy:expand", {}, stdin=source, stdout=target, site_packages=True
            )
            assert await call == {"tar_bytes": 5}
        assert os.pread(target, 20, 0) == b"bytesbytes"
        # nothing given: an empty file to read
        assert await worker.call("store.tarcopy:expand", {}) == {"tar_bytes": 0}
    finally:
        os.close(source)
        os.close(target)


async def test_a_dead_template_is_replaced() -> None:
    await worker.call("linux.mounts:_unescape", {"text": "x"})
    old = template.template()
    os.kill(old.pid, signal.SIGKILL)
    assert await worker.call("linux.mounts:_unescape", {"text": "y"}) == "y"
    await old._child.wait()
    assert await worker.call("linux.mounts:_unescape", {"text": "z"}) == "z"
    assert template.template().pid != old.pid


async def test_it_ends_when_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "IDLE_S", 0.01)
    await worker.call("linux.mounts:_unescape", {"text": "x"})
    (one,) = [t for loop, t in template._templates.items() if loop is asyncio.get_running_loop()]
    assert await one._child.wait() == 0
    assert not one.usable
    assert await worker.call("linux.mounts:_unescape", {"text": "y"}) == "y"


async def test_without_a_template_a_worker_starts_the_slow_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none() -> template.Template:
        raise template.Unavailable

    monkeypatch.setattr(worker, "template", none)
    read_fd, write_fd = os.pipe()
    try:
        assert await worker.call("linux.mounts:_unescape", {"text": "x"}, stdout=write_fd) == "x"
    finally:
        os.close(read_fd)
        os.close(write_fd)


async def test_more_descriptors_than_a_message_carries() -> None:
    fds = [os.memfd_create("x") for _ in range(template.MOST_DESCRIPTORS + 1)]
    try:
        done = worker.call("linux.mounts:_unescape", {"text": "x"}, pass_fds=tuple(fds))
        assert await done == "x"
    finally:
        for fd in fds:
            os.close(fd)


async def test_a_cancelled_caller_leaves_no_worker() -> None:
    await worker.call("linux.mounts:_unescape", {"text": "x"})
    before = _children()
    read_fd, write_fd = os.pipe()
    try:
        # reads its stdin, which never ends
        call = worker.call("store.tarcopy:expand", {}, stdin=read_fd, site_packages=True)
        for wait in (0, 1):
            task = asyncio.ensure_future(call)
            for _ in range(wait + 1):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            call = worker.call("store.tarcopy:expand", {}, stdin=read_fd, site_packages=True)
        call.close()
        async with asyncio.timeout(60):
            while _children() - before:
                await asyncio.sleep(0.01)
    finally:
        os.close(read_fd)
        os.close(write_fd)


def _children() -> set[str]:
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as file:
        return set(file.read().split())


def test_one_for_each_loop_and_none_stays_of_a_closed_one() -> None:
    async def pid() -> int:
        await worker.call("linux.mounts:_unescape", {"text": "x"})
        return template.template().pid

    first = asyncio.run(pid())
    second = asyncio.run(pid())
    assert first != second
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
