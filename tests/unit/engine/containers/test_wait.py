from __future__ import annotations

import asyncio

import pytest

from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.wait import notify_exit, notify_removed, register_wait
from pierhead.errors import InvalidParameter
from unit.engine.containers.test_registry import container


async def test_not_running_is_answered_at_once() -> None:
    made = container("a", "aa")
    made.status.exit_code = 3
    assert await register_wait(made, "not-running") == (3, None)
    assert await register_wait(made, "") == (3, None)
    assert made.waiters == []


async def test_the_three_conditions() -> None:
    made = container("a", "aa")
    made.status.phase = Phase.RUNNING
    stopped = register_wait(made, "not-running")
    exited = register_wait(made, "next-exit")
    removed = register_wait(made, "removed")
    made.status.exit_code = 9
    notify_exit(made)
    assert await stopped == await exited == (9, None)
    assert made.waiters == [removed]
    notify_removed(made, "trouble")
    assert await removed == (9, "trouble")


async def test_next_exit_waits_for_a_start() -> None:
    made = container("a", "aa")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_as_task(made), 0.01)
    assert made.waiters == []


async def _as_task(made: object) -> tuple[int, str | None]:
    return await register_wait(made, "next-exit")  # type: ignore[arg-type]


async def test_unknown_condition() -> None:
    with pytest.raises(InvalidParameter, match='invalid condition: "never"'):
        register_wait(container("a", "aa"), "never")
