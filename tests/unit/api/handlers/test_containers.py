"""Containers at the edge: parameters in, answers out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pierhead.engine.config import HostConfig
from support.api import fake_engine, serving


class Containers:
    """Records calls; answers what it was told."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            return self.answers.get(name)

        return call


async def test_list_asks_for_the_shape_of_the_version(tmp_path: Path) -> None:
    containers = Containers(list_json=b'[{"Id":"1"}]')
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        found = await ask("GET", "/v1.44/containers/json?all=1&limit=3&size=true")
        assert found.json() == [{"Id": "1"}]
    options = containers.calls[0][2]
    assert (options["all"], options["limit"], options["size"]) == (True, 3, True)
    assert options["api"] == 44


async def test_bad_parameters_are_400(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, containers=Containers()), tmp_path) as ask:
        for target in (
            "/containers/json?limit=x",
            "/containers/json?filters=x",
            '/containers/json?filters={"a":1}',
        ):
            assert (await ask("GET", target)).status == 400, target
        for target in (
            "/containers/x/stop?t=abc",
            "/containers/x/wait?condition=bored",
            "/containers/x/resize?h=1",
        ):
            assert (await ask("POST", target)).status == 400, target
        body = await ask("POST", "/containers/x/start", {"Binds": ["/a:/b"]})
        assert body.status == 400 and "removed in v1.24" in body.message


async def test_stop_and_signal_by_version(tmp_path: Path) -> None:
    containers = Containers()
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        assert (await ask("POST", "/v1.42/containers/x/stop?t=-1&signal=INT")).status == 204
        assert (await ask("POST", "/v1.41/containers/x/stop?signal=INT")).status == 204
        assert (await ask("POST", "/containers/x/kill?signal=9")).status == 204
        assert (await ask("DELETE", "/containers/x?force=1&v=1")).status == 204
    assert containers.calls[0] == ("stop", ("x",), {"signal": "INT", "timeout_s": -1})
    assert containers.calls[1] == ("stop", ("x",), {"signal": None, "timeout_s": None})
    assert containers.calls[2] == ("kill", ("x", "9"), {})
    assert containers.calls[3][2] == {"force": True, "volumes": True, "link": False}


async def test_update_reads_resources_and_policy(tmp_path: Path) -> None:
    containers = Containers(update=["hm"])
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        answer = await ask("POST", "/containers/x/update", {"Memory": 5, "CpuShares": 7})
        assert answer.json() == {"Warnings": ["hm"]}
        await ask("POST", "/containers/x/update", {"RestartPolicy": {"Name": "always"}})
    _, (_, resources, policy), _ = containers.calls[0]
    assert isinstance(resources, HostConfig) and resources.memory == 5 and policy is None
    assert containers.calls[1][1][2].name == "always"


class Waiting:
    """Only ``register_wait``: the test finishes it."""

    def __init__(self) -> None:
        self.done: asyncio.Future[tuple[int, str | None]] = asyncio.Future()
        self.condition = ""

    def register_wait(self, ref: str, condition: str) -> asyncio.Future[tuple[int, str | None]]:
        self.condition = condition
        return self.done


async def test_wait_sends_headers_at_once(tmp_path: Path) -> None:
    containers = Waiting()
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(b"POST /v1.44/containers/x/wait?condition=removed HTTP/1.1\r\nHost: d\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b" 200 " in head and containers.condition == "removed"
        containers.done.set_result((3, "can't remove"))
        body = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
        assert b'{"StatusCode":3,"Error":{"Message":"can\'t remove"}}' in body


async def test_wait_before_130_has_no_condition(tmp_path: Path) -> None:
    containers = Waiting()
    containers.done.set_result((0, None))
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        answer = await ask("POST", "/v1.29/containers/x/wait?condition=removed")
        assert answer.json() == {"StatusCode": 0}
    assert containers.condition == "not-running"


async def test_inspect_top_commit_prune(tmp_path: Path) -> None:
    containers = Containers(
        inspect={"Id": "1", "NetworkSettings": {"Networks": {}}},
        top={"Titles": ["PID"], "Processes": []},
        commit="sha256:abc",
        prune=(["a"], 12),
    )
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        assert (await ask("GET", "/containers/x/json?size=1")).json()["Id"] == "1"
        assert (await ask("GET", "/containers/x/top?ps_args=aux")).json()["Titles"] == ["PID"]
        made = await ask("POST", "/commit?container=x&repo=r&pause=0&changes=CMD+a&changes=ENV+b=c")
        assert (made.status, made.json()) == (201, {"Id": "sha256:abc"})
        pruned = await ask("POST", "/containers/prune")
        assert pruned.json() == {"ContainersDeleted": ["a"], "SpaceReclaimed": 12}
    assert containers.calls[1][1] == ("x", "aux")
    assert containers.calls[2][2]["changes"] == ["CMD a", "ENV b=c"]
    assert containers.calls[2][2]["pause"] is False
