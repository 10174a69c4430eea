"""Sharing and bounding transfers, cancellation at awkward moments included."""

from __future__ import annotations

import asyncio

import pytest

from pierhead.distribution.transfers import Audience, Locks, Silence, Slots, Transfers
from pierhead.errors import Unavailable


class Recorder(Silence):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def mark(self, id: str, action: str) -> None:
        self.seen.append(f"{id} {action}")

    def update(self, id: str, action: str, current: int, total: int) -> None:
        self.seen.append(f"{id} {action} {current}/{total}")

    def note(self, id: str, text: str) -> None:
        self.seen.append(f"{id} {text}")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_two_share_one_transfer() -> None:
    transfers: Transfers[int] = Transfers()
    go = asyncio.Event()
    started = 0

    async def make(audience: Audience) -> int:
        nonlocal started
        started += 1
        audience.update("Downloading", 5, 10)
        await go.wait()
        audience.mark("Pull complete")
        return 7

    first, second = Recorder(), Recorder()
    one = transfers.join("k", "id", first, make)
    await settle()
    two = transfers.join("k", "id", second, make)
    assert second.seen == ["id Downloading 5/10"]
    go.set()
    assert (await one.result(), await two.result(), started) == (7, 7, 1)
    assert first.seen == second.seen == ["id Downloading 5/10", "id Pull complete"]
    await one.leave()
    await two.leave()
    assert len(transfers) == 0


async def test_the_last_to_leave_cancels() -> None:
    transfers: Transfers[int] = Transfers()
    ended = []

    async def make(audience: Audience) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)
        return 0

    one = transfers.join("k", "id", Silence(), make)
    two = transfers.join("k", "id", Silence(), make)
    await settle()
    await one.leave()
    await one.leave()  # twice is once
    await settle()
    assert not ended
    await two.leave()
    assert ended == [True] and len(transfers) == 0


async def test_who_comes_while_it_is_being_cancelled_starts_anew() -> None:
    transfers: Transfers[int] = Transfers()
    cleaned = asyncio.Event()
    runs = 0

    async def make(audience: Audience) -> int:
        nonlocal runs
        runs += 1
        if runs > 1:
            return runs
        try:
            await asyncio.Event().wait()
        finally:
            await cleaned.wait()
        return 0

    one = transfers.join("k", "id", Silence(), make)
    await settle()
    leaving = asyncio.get_running_loop().create_task(one.leave())
    await settle()
    two = transfers.join("k", "id", Silence(), make)
    assert await two.result() == 2
    cleaned.set()
    await leaving
    await two.leave()


async def test_errors_reach_all_who_wait() -> None:
    transfers: Transfers[int] = Transfers()

    async def make(audience: Audience) -> int:
        await asyncio.sleep(0)
        raise Unavailable("no")

    tickets = [transfers.join("k", "id", Silence(), make) for _ in range(2)]
    for ticket in tickets:
        with pytest.raises(Unavailable):
            await ticket.result()
        await ticket.leave()


async def test_slots_bound_and_keep_the_order() -> None:
    limit = 2
    slots = Slots(lambda: limit)
    inside: list[int] = []
    gates = [asyncio.Event() for _ in range(5)]

    async def hold(number: int) -> None:
        async with slots.hold():
            inside.append(number)
            await gates[number].wait()

    async with asyncio.TaskGroup() as group:
        jobs = [group.create_task(hold(number)) for number in range(5)]
        await settle()
        assert inside == [0, 1] and not slots.free
        jobs[2].cancel()
        await settle()
        gates[0].set()
        await settle()
        assert inside == [0, 1, 3]
        limit = 3
        gates[1].set()
        await settle()
        assert inside == [0, 1, 3, 4]
        for gate in gates:
            gate.set()
    assert slots.free


async def test_a_slot_given_to_a_cancelled_waiter_goes_on() -> None:
    slots = Slots(lambda: 1)
    release = asyncio.Event()
    got = []

    async def first() -> None:
        async with slots.hold():
            await release.wait()

    async def other(number: int) -> None:
        async with slots.hold():
            got.append(number)

    loop = asyncio.get_running_loop()
    holder, doomed, last = (loop.create_task(c) for c in (first(), other(1), other(2)))
    await settle()
    release.set()
    await holder
    doomed.cancel()  # its turn has been given, but it hasn't run yet
    await settle()
    assert got in ([2], [1, 2]) and slots.free
    await last


async def test_locks_by_key() -> None:
    locks = Locks()
    order = []

    async def work(key: str, name: str) -> None:
        async with locks.hold(key):
            order.append(name)
            await settle()
            order.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(work("a", "a1"))
        group.create_task(work("a", "a2"))
        group.create_task(work("b", "b1"))
    assert order.index("b1") < order.index("a2") == 3 or order[:2] == ["a1", "b1"]
    assert [name for name in order if name[0] == "a"] == ["a1", "a1", "a2", "a2"]
    assert not locks._locks
