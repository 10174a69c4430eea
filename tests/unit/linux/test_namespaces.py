from __future__ import annotations

from typing import Any

import pytest

from pierhead.errors import Internal
from pierhead.linux import namespaces
from pierhead.linux import syscalls as sc


async def test_a_thread_that_can_t_return_does_no_more_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = namespaces.NetnsThread(threads=1)
    calls: list[Any] = []

    def setns(fd: int, _kind: int) -> None:
        calls.append(fd)
        if len(calls) == 2:
            raise OSError(1, "no")

    monkeypatch.setattr(sc, "setns", setns)
    try:
        with pytest.raises(OSError, match="no"):
            await threads.run(99, lambda: None)
        with pytest.raises(Internal, match="could not return"):
            await threads.run(99, lambda: None)
    finally:
        threads.close()
