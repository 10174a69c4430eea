"""Shared work: done once, cancelled when nobody waits."""

from __future__ import annotations

import asyncio

import pytest

from pierhead.build.execute.model import StepFailed
from pierhead.build.solve.flights import Flight, Flights

KEY = "sha256:" + "1" * 64


def test_two_who_need_the_same_share_it_and_its_output() -> None:
    async def main() -> None:
        flights, count, go = Flights(), 0, asyncio.Event()

        async def work(flight: Flight[str]) -> str:
            nonlocal count
            count += 1
            flight.log(1, b"early")
            await go.wait()
            flight.log(1, b"late")
            return "done"

        heard: list[list[bytes]] = [[], []]
        first = asyncio.ensure_future(
            flights.run(KEY, work, lambda stream, data: heard[0].append(data))
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = asyncio.ensure_future(
            flights.run(KEY, work, lambda stream, data: heard[1].append(data))
        )
        await asyncio.sleep(0)
        go.set()
        assert await asyncio.gather(first, second) == ["done", "done"]
        assert count == 1
        assert heard == [[b"early", b"late"]] * 2

    asyncio.run(main())


def test_the_last_to_leave_cancels_it_and_sees_it_end() -> None:
    async def main() -> None:
        flights, ended = Flights(), []

        async def work(flight: Flight[str]) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append(True)
            return ""

        waiting = [asyncio.ensure_future(flights.run(KEY, work)) for _ in range(2)]
        for _ in range(3):
            await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        assert not ended
        waiting[1].cancel()
        await asyncio.wait([waiting[1]])
        assert ended == [True]

    asyncio.run(main())


def test_who_comes_while_it_is_cancelled_starts_anew() -> None:
    async def main() -> None:
        flights, starts, leave = Flights(), 0, asyncio.Event()

        async def work(flight: Flight[int]) -> int:
            nonlocal starts
            starts += 1
            if starts > 1:
                return starts
            try:
                await asyncio.Event().wait()
            finally:
                await leave.wait()
            return 0

        first = asyncio.ensure_future(flights.run(KEY, work))
        for _ in range(3):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        second = asyncio.ensure_future(flights.run(KEY, work))
        await asyncio.sleep(0)
        leave.set()
        assert await second == 2

    asyncio.run(main())


def test_errors_reach_everybody() -> None:
    async def main() -> None:
        flights = Flights()

        async def work(flight: Flight[str]) -> str:
            await asyncio.sleep(0)
            raise StepFailed("no", 7, "debug")

        results = await asyncio.gather(
            *(flights.run(KEY, work) for _ in range(2)), return_exceptions=True
        )
        assert [str(result) for result in results] == ["no", "no"]
        assert results[0] is not results[1]  # each gets a place of its own
        for result in results:
            assert isinstance(result, StepFailed)
            assert (result.message, result.exit_code, result.debug_id) == ("no", 7, "debug")
        with pytest.raises(StepFailed):
            await flights.run(KEY, work)
        await flights.close()

    asyncio.run(main())


def test_not_everything_runs_at_once() -> None:
    async def main() -> None:
        flights, running, most = Flights(at_once=2), 0, 0

        async def work(flight: Flight[None]) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(3):
                await asyncio.sleep(0)
            running -= 1

        await asyncio.gather(*(flights.run(f"key {number}", work) for number in range(5)))
        assert most == 2

    asyncio.run(main())
