"""What the daemon tells about itself: ping, version, info, events, disk usage, API versions."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from support.command import Command
from support.http import Api

Unique = Callable[[str], str]


class TestPingVersionInfo:
    def test_ping(self, api: Api) -> None:
        answer = api.get("/_ping")
        assert (answer.status, answer.body) == (200, b"OK")
        assert re.fullmatch(r"1\.\d+", answer.headers["api-version"])
        assert answer.headers["ostype"] == "linux"
        assert "no-cache" in answer.headers["cache-control"]
        head = api.request("HEAD", "/_ping")
        assert (head.status, head.body) == (200, b"")

    def test_version(self, cli: Command) -> None:
        done = cli("version")
        assert "Client:" in done.stdout and "Server:" in done.stdout
        assert re.fullmatch(r"1\.\d+", cli("version", "--format", "{{.Server.APIVersion}}").out)

    def test_info(self, cli: Command, api: Api) -> None:
        assert "Server Version:" in cli("info").stdout
        assert cli("info", "--format", "{{.OSType}}").out == "linux"
        info = api.get("/v1.41/info").json
        for field in "ID Containers Images Driver CgroupDriver CgroupVersion KernelVersion".split():
            assert info[field] not in (None, "") or field in ("Containers", "Images"), field
        assert info["Containers"] == sum(
            info[f"Containers{state}"] for state in ("Running", "Paused", "Stopped")
        )

    def test_counts(self, docker: Command, name: str) -> None:
        before = int(docker("info", "--format", "{{.ContainersRunning}}").out)
        docker("run", "-d", "--name", name, "busybox", "sleep", "100")
        assert int(docker("info", "--format", "{{.ContainersRunning}}").out) == before + 1

    def test_disk_usage(self, cli: Command, name: str) -> None:
        cli("run", "--name", name, "-v", "/v", "busybox", "sh", "-c", "echo x > /f; echo y > /v/f")
        lines = cli("system", "df").lines
        assert lines[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
        assert [line.split("  ")[0] for line in lines[1:4]] == [
            "Images",
            "Containers",
            "Local Volumes",
        ]
        cli("system", "df", "-v")

    def test_auth_without_a_registry(self, api: Api) -> None:
        answer = api.post(
            "/v1.41/auth", {"username": "a", "password": "b", "serveraddress": "127.0.0.1:1"}
        )
        assert answer.status >= 400
        assert answer.message


class TestApiVersions:
    @pytest.mark.parametrize("minor", [24, 25, 30, 35, 40, 41])
    def test_old_ones_answer(self, api: Api, minor: int) -> None:
        for path in (
            "/version",
            "/info",
            "/containers/json?all=1",
            "/images/json",
            "/volumes",
            "/networks",
        ):
            assert api.get(f"/v1.{minor}{path}").status == 200

    @pytest.mark.parametrize("minor", [42, 43, 44, 45, 46, 47, 48, 50, 51, 52, 54, 56])
    def test_new_ones_answer(self, engine: Any, api: Api, minor: int) -> None:
        if not engine.is_pierd:
            pytest.skip("newer than this dockerd")
        for path in (
            "/version",
            "/info",
            "/containers/json?all=1",
            "/images/json",
            "/volumes",
            "/networks",
        ):
            assert api.get(f"/v1.{minor}{path}").status == 200

    def test_too_new_and_too_old(self, engine: Any, api: Api) -> None:
        answer = api.get("/v1.99/info")
        assert answer.status == 400
        assert "client version 1.99 is too new. Maximum supported API version is" in answer.message
        if not engine.is_pierd:
            return  # 20.10 takes 1.12 and up
        answer = api.get("/v1.1/info")
        assert answer.status == 400
        assert "client version 1.1 is too old. Minimum supported API version is" in answer.message

    def test_shapes_differ(self, engine: Any, api: Api, docker: Command, name: str) -> None:
        if not engine.is_pierd:
            pytest.skip("dockerd 20.10 knows one of the two")
        docker("run", "-d", "--name", name, "busybox", "sleep", "100")
        old = api.get(f"/v1.41/containers/{name}/json").json
        new = api.get(f"/v1.56/containers/{name}/json").json
        assert "IPAddress" in old["NetworkSettings"]
        assert "IPAddress" not in new["NetworkSettings"]
        assert "VirtualSize" in api.get("/v1.41/images/json").json[0]
        assert "VirtualSize" not in api.get("/v1.56/images/json").json[0]

    def test_unknown_path(self, api: Api) -> None:
        answer = api.get("/v1.41/no/such/thing")
        assert (answer.status, answer.message) == (404, "page not found")


def events(cli: Command, *args: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli("events", *args, "--format", "{{json .}}").lines]


class TestEvents:
    def test_a_life(self, cli: Command, name: str) -> None:
        begin = str(int(time.time()) - 1)
        cli("run", "--rm", "--name", name, "busybox", "true")
        time.sleep(0.3)
        seen = events(
            cli, "--since", begin, "--until", str(int(time.time()) + 1), "-f", f"container={name}"
        )
        actions = [event["Action"] for event in seen if event["Type"] == "container"]
        assert [a for a in actions if a not in ("attach",)] == ["create", "start", "die", "destroy"]
        die = next(event for event in seen if event["Action"] == "die")
        assert die["Actor"]["Attributes"]["exitCode"] == "0"
        assert die["Actor"]["Attributes"]["name"] == name
        assert die["Actor"]["Attributes"]["image"] == "busybox"
        assert die["scope"] == "local"
        assert abs(die["timeNano"] / 1e9 - time.time()) < 10
        kinds = {event["Type"] for event in seen}
        assert kinds == {"container"} or kinds == {"container", "network"}

    def test_live(self, docker: Command, name: str) -> None:
        watcher = docker.popen("events", "-f", f"container={name}", "--format", "{{.Action}}")
        time.sleep(0.5)
        docker("run", "--name", name, "busybox", "true")
        assert watcher.stdout is not None
        got = []
        while "die" not in got:
            got.append(watcher.stdout.readline().decode().strip())
        assert [a for a in got if a != "attach"] == ["create", "start", "die"]
        watcher.kill()
        watcher.communicate()

    def test_filters(self, docker: Command, unique: Unique) -> None:
        begin = str(int(time.time()) - 1)
        volume, network = unique("vol"), unique("net")
        docker("volume", "create", volume)
        docker("network", "create", network)
        docker("tag", "busybox", f"{volume}:1")
        docker("rmi", f"{volume}:1")
        end = str(int(time.time()) + 1)
        show = ("--since", begin, "--until", end)
        assert {e["Type"] for e in events(docker, *show, "-f", "type=volume")} == {"volume"}
        assert [e["Action"] for e in events(docker, *show, "-f", f"network={network}")] == [
            "create"
        ]
        got = events(docker, *show, "-f", "type=image", "-f", "event=tag")
        assert {e["Action"] for e in got} == {"tag"}
        assert any(e["Actor"]["Attributes"]["name"] == f"{volume}:1" for e in got)

    def test_many_watchers_lose_nothing(self, docker: Command, unique: Unique) -> None:
        label = unique("load")
        watchers = [
            docker.popen(
                "events", "-f", f"label=load={label}", "-f", "event=create", "--format", "{{.ID}}"
            )
            for _ in range(4)
        ]
        time.sleep(0.7)
        for _ in range(25):
            docker("create", "--label", f"load={label}", "busybox", "true")
        for watcher in watchers:
            assert watcher.stdout is not None
            lines = [watcher.stdout.readline() for _ in range(25)]
            assert len(set(lines)) == 25
            watcher.kill()
            watcher.communicate()

    def test_kill_and_oom_and_exec(self, docker: Command, name: str) -> None:
        begin = str(int(time.time()) - 1)
        docker("run", "-d", "--name", name, "busybox", "sleep", "100")
        docker("exec", name, "true")
        docker("pause", name)
        docker("unpause", name)
        docker("rename", name, f"{name}x")
        docker("kill", "-s", "KILL", f"{name}x")
        docker("wait", f"{name}x")
        time.sleep(0.3)
        full = docker("inspect", "-f", "{{.Id}}", f"{name}x").out
        got = events(
            docker,
            "--since",
            begin,
            "--until",
            str(int(time.time()) + 1),
            "-f",
            f"container={full}",
        )
        actions = [event["Action"].split(":")[0] for event in got]
        expected = ["create", "start", "exec_create", "exec_start", "exec_die", "pause", "unpause"]
        order = [a for a in actions if a in {*expected, "rename", "kill", "die"}]
        assert order == [*expected, "rename", "kill", "die"]

    def test_bad_filter(self, engine: Any, api: Api) -> None:
        if not engine.is_pierd:
            pytest.skip("20.10 lets it pass")
        answer = api.get("/v1.41/events?until=1&filters=" + quote('{"colour":["blue"]}'))
        assert answer.status == 400
        assert "invalid filter 'colour'" in answer.message.lower()

    def test_a_watcher_that_goes_away(self, docker: Command) -> None:
        watcher = docker.popen("events", stdin=subprocess.DEVNULL)
        time.sleep(0.3)
        watcher.kill()
        watcher.communicate()
        docker("run", "--rm", "busybox", "true")


class TestNotYet:
    """What later issues bring answers clearly instead of half."""

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1.41/swarm", 503),
            ("GET", "/v1.41/services", 503),
            ("GET", "/v1.41/nodes", 503),
        ],
    )
    def test_says_so(self, engine: Any, api: Api, method: str, path: str, status: int) -> None:
        if not engine.is_pierd:
            pytest.skip("dockerd has these")
        answer = api.request(method, path)
        assert answer.status == status
        assert len(answer.message) > 10
