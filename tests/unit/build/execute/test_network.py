"""Ready namespaces: lent to one step after another, dropped when idle or spoilt."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.build.execute import network
from pierhead.build.execute.network import NetworkPool
from pierhead.build.model import NetworkMode


class Networks:
    def __init__(self) -> None:
        self.attached: list[Any] = []
        self.detached: list[str] = []
        self.released = 0

    async def attach(self, request: Any) -> Any:
        self.attached.append(request)

        async def ready() -> None: ...

        def release() -> None:
            self.released += 1

        return SimpleNamespace(netns_path=f"/n{len(self.attached)}", networks={}, ready=ready,
                               release=release)  # fmt: skip

    async def detach(self, container_id: str) -> None:
        self.detached.append(container_id)

    def get(self, ref: str) -> Any:
        return SimpleNamespace(name=f"{ref}-name")


@pytest.fixture
def networks() -> Networks:
    return Networks()


@pytest.fixture
def pool(networks: Networks, tmp_path: Path) -> NetworkPool:
    return NetworkPool(networks, tmp_path)  # type: ignore[arg-type]


async def test_one_is_used_again(pool: NetworkPool, networks: Networks) -> None:
    first = await pool.take(NetworkMode.DEFAULT)
    other = await pool.take(NetworkMode.DEFAULT)
    assert (first.path, other.path) == ("/n1", "/n2")
    await pool.give_back(first)
    assert (await pool.take(NetworkMode.NONE)).path == "/n3"
    assert (await pool.take(NetworkMode.DEFAULT)).path == "/n1"
    assert [request.mode for request in networks.attached] == ["bridge", "bridge", "none"]
    assert all(request.quiet for request in networks.attached)
    await pool.close()


async def test_spoilt_and_chosen_ones_go_at_once(pool: NetworkPool, networks: Networks) -> None:
    await pool.give_back(await pool.take(NetworkMode.DEFAULT), clean=False)
    await pool.give_back(await pool.take(NetworkMode.DEFAULT, "mine"))
    assert [request.mode for request in networks.attached] == ["bridge", "mine-name"]
    assert len(networks.detached) == networks.released == 2
    host = await pool.take(NetworkMode.HOST)
    assert host.path is None
    await pool.give_back(host)
    await pool.close()
    assert len(networks.detached) == 2


async def test_idle_ones_go(
    pool: NetworkPool, networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(network.time, "monotonic", lambda: now_s)
    await pool.give_back(await pool.take(NetworkMode.DEFAULT))
    now_s += network.IDLE_S / 2
    pool._sweep()
    assert len(pool._idle) == 1
    now_s += network.IDLE_S
    pool._sweep()
    assert pool._idle == []
    await pool.give_back(await pool.take(NetworkMode.DEFAULT))
    await pool.close()
    assert len(networks.attached) == len(networks.detached) == 2
