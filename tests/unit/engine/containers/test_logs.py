from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pierhead.engine.config import LogConfig
from pierhead.engine.containers import start
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.logs import LogQuery, read_logs
from pierhead.errors import InvalidParameter, NotImplementedYet
from support.containers import World, settle

SECOND = 1_000_000_000
BASE = 1767319445 * SECOND  # 2026-01-02T02:04:05Z


def record(second: int, text: str, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"2026-01-02T02:04:{5 + second:02d}.000000000+00:00 {stream} {tag} {text}\n".encode()


async def with_log(world: World, *parts: bytes) -> Container:
    made = await world.create()
    directory = world.paths.container(made.id)
    *older, newest = parts
    for number, part in enumerate(reversed(older), start=1):
        (directory / f"container.log.{number}").write_bytes(part)
    (directory / "container.log").write_bytes(newest)
    return made


async def read(world: World, made: Container, **query: Any) -> list[tuple[int, bytes]]:
    found = []
    async for piece in read_logs(world.ctx, made, LogQuery(**query)):
        found.append(piece)
    return found


LOG = record(0, "one") + record(1, "two", "stderr") + record(2, "thr", tag="P") + record(3, "ee")


async def test_all_of_it(world: World) -> None:
    made = await with_log(world, LOG)
    assert await read(world, made) == [(1, b"one\n"), (2, b"two\n"), (1, b"three\n")]
    assert await read(world, made, stderr=False) == [(1, b"one\n"), (1, b"three\n")]


async def test_tail(world: World) -> None:
    made = await with_log(world, LOG)
    assert await read(world, made, tail=1) == [(1, b"three\n")]
    assert await read(world, made, tail=2) == [(2, b"two\n"), (1, b"three\n")]
    assert await read(world, made, tail=0) == []
    assert len(await read(world, made, tail=99)) == 3


async def test_time_window(world: World) -> None:
    made = await with_log(world, LOG)
    assert await read(world, made, since_ns=BASE + 2 * SECOND) == [(1, b"three\n")]
    assert await read(world, made, until_ns=BASE + SECOND) == [(1, b"one\n"), (2, b"two\n")]


async def test_timestamps_are_at_the_start_of_lines_only(world: World) -> None:
    made = await with_log(world, LOG)
    assert await read(world, made, timestamps=True, stderr=False) == [
        (1, b"2026-01-02T02:04:05.000000000Z one\n"),
        (1, b"2026-01-02T02:04:07.000000000Z three\n"),
    ]


async def test_details(world: World) -> None:
    made = await with_log(world, record(0, "x"))
    made.record.host_config.log_config.config = {"labels": "of"}
    assert await read(world, made, details=True) == [(1, b"of=image x\n")]


async def test_rotated_files_are_one_log(world: World) -> None:
    made = await with_log(world, record(0, "a"), record(1, "b"), record(2, "c"))
    assert b"".join(data for _, data in await read(world, made)) == b"a\nb\nc\n"
    assert b"".join(data for _, data in await read(world, made, tail=2)) == b"b\nc\n"


async def test_a_long_log_from_its_end(world: World) -> None:
    made = await with_log(world, b"".join(record(0, f"line {n}") for n in range(9000)))
    found = b"".join(data for _, data in await read(world, made, tail=3000)).splitlines()
    assert found == [f"line {n}".encode() for n in range(6000, 9000)]


async def test_follow(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    log = world.ctx.log_path(made.id)
    found: list[bytes] = []

    async def follow() -> None:
        async for _, data in read_logs(world.ctx, made, LogQuery(follow=True)):
            found.append(data)

    task = asyncio.get_running_loop().create_task(follow())
    await settle()
    with log.open("ab") as file:
        file.write(record(0, "one"))
    await settle()
    assert found == [b"one\n"]
    # conmon begins a new file; what came before is still read to its end
    with log.open("ab") as file:
        file.write(record(1, "two"))
    new = log.with_name("new")
    new.write_bytes(record(2, "three"))
    new.rename(log)
    await settle()
    assert b"".join(found) == b"one\ntwo\nthree\n"
    with log.open("ab") as file:
        file.write(record(3, "last"))
    await world.exit(made)
    await asyncio.wait_for(task, 5)
    assert found[-1] == b"last\n"


async def test_follow_until_a_time(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    assert await read(world, made, follow=True, until_ns=BASE) == []


async def test_refusals(world: World) -> None:
    made = await world.create()
    with pytest.raises(InvalidParameter, match="you must choose at least one stream"):
        read_logs(world.ctx, made, LogQuery(stdout=False, stderr=False))
    silent = await world.create("two", log_config=LogConfig(type="none"))
    with pytest.raises(NotImplementedYet, match="does not support reading"):
        read_logs(world.ctx, silent, LogQuery())
