"""Background tasks: kept, named, never silent."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pierhead import tasks


async def test_failures_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("ouch")

    task = tasks.spawn(fail(), name="failing")
    with caplog.at_level(logging.ERROR):
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert [record.task for record in caplog.records] == ["failing"]  # type: ignore[attr-defined]


async def test_cancel_all_waits_for_clean_ups() -> None:
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned = True

    task = tasks.spawn(work(), name="work")
    await asyncio.sleep(0)
    await tasks.cancel_all(5)
    assert cleaned and task.cancelled()


async def test_an_outcome_is_the_value_or_the_error_but_no_cancellation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def give(value: int) -> int:
        if value:
            return value
        raise ValueError("none")

    assert await tasks.outcome(give(3)) == 3
    failed = tasks.spawn(tasks.outcome(give(0)), name="failing")
    assert isinstance(await failed, ValueError)
    assert caplog.records == []
    hanging = tasks.spawn(tasks.outcome(asyncio.sleep(60)), name="hanging")
    await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
