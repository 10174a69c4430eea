"""Bad input: Docker's status, a message that names the field, nothing left behind, never 500."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import tarfile
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from support.command import Command
from support.http import Api

Unique = Callable[[str], str]
V = "/v1.41"
CREATE = b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\n"


@pytest.fixture(autouse=True)
def nothing_new(api: Api, busybox: str) -> Iterator[None]:
    """A refused request makes no object."""

    def inventory() -> tuple[list[str], list[str], list[str], list[str]]:
        return (
            sorted(c["Id"] for c in api.get(f"{V}/containers/json?all=1").json),
            sorted(i["Id"] for i in api.get(f"{V}/images/json?all=1").json),
            sorted(n["Id"] for n in api.get(f"{V}/networks").json),
            sorted(v["Name"] for v in api.get(f"{V}/volumes").json["Volumes"] or []),
        )

    before = inventory()
    yield
    assert inventory() == before


def create(api: Api, body: object, name: str = "") -> Any:
    return api.post(f"{V}/containers/create" + (f"?name={quote(name)}" if name else ""), body)


class TestCreate:
    """(body, status, words of the message)"""

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            (b"", 400, ""),
            (b"{", 400, ""),
            (b"null", 400, "config cannot be empty"),
            (b"[]", 400, ""),
            (b'"text"', 400, ""),
            (b'{"Image": 7}', 400, "image"),
            (b'{"Image": "busybox", "Env": "A=1"}', 400, "env"),
            (b'{"Image": "busybox", "Cmd": {"a": 1}}', 400, ""),
            (b'{"Image": "busybox", "Labels": ["x"]}', 400, "labels"),
            (b'{"Image": "busybox", "HostConfig": {"Memory": "64m"}}', 400, "memory"),
            (b'{"Image": "busybox", "HostConfig": []}', 400, "hostconfig"),
            (b'{"Image": "busybox"} trailing', 400, ""),
            (b'{"Image": "no-such-image"}', 404, "no such image: no-such-image:latest"),
            (b'{"Image": "UPPER"}', 400, "invalid reference format"),
            (b'{"Image": ""}', 400, ""),
            (b"{}", 400, ""),
        ],
    )
    def test_bodies(self, engine: Any, api: Api, body: bytes, status: int, words: str) -> None:
        answer = api.post(
            f"{V}/containers/create", body, headers={"Content-Type": "application/json"}
        )
        if engine.is_pierd:
            assert answer.status == status, answer
            assert words.lower() in answer.message.lower()
        elif answer.status == 201:  # 20.10 is lenient in places, or answers 500
            api.delete(f"{V}/containers/{answer.json['Id']}")

    @pytest.mark.parametrize(
        ("host", "status", "words"),
        [
            ({"Memory": 1000}, 400, "Minimum memory limit allowed is"),
            (
                {"Memory": 64 << 20, "MemorySwap": 32 << 20},
                400,
                "memoryswap limit should be larger",
            ),
            ({"MemorySwappiness": 200}, 400, "memory swappiness"),
            ({"NanoCpus": -1}, 400, "cpu"),
            ({"CpusetCpus": "99999"}, 400, "cpus"),
            ({"CpusetCpus": "a-b"}, 400, "a-b"),
            ({"OomScoreAdj": 5000}, 400, "oom score"),
            ({"RestartPolicy": {"Name": "sometimes"}}, 400, "invalid restart policy"),
            (
                {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -1}},
                400,
                "retry count",
            ),
            ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}, 400, "retry count"),
            ({"NetworkMode": "container:nobody"}, 404, "nobody"),
            ({"IpcMode": "sometimes"}, 400, "ipc"),
            ({"PidMode": "sometimes"}, 400, "pid"),
            ({"UTSMode": "sometimes"}, 400, "uts"),
            ({"CgroupnsMode": "sometimes"}, 400, "cgroup"),
            ({"Binds": ["/tmp:/x:zz"]}, 400, "zz"),
            ({"Binds": ["a/b:/x"]}, 400, "a/b"),
            ({"Mounts": [{"Type": "magic", "Target": "/x"}]}, 400, "magic"),
            ({"Mounts": [{"Type": "bind", "Target": "/x"}]}, 400, "source"),
            ({"Mounts": [{"Type": "volume", "Source": "v"}]}, 400, "target"),
            ({"PortBindings": {"80": [{"HostPort": "no"}]}}, 400, "no"),
            ({"PortBindings": {"99999/tcp": [{}]}}, 400, "99999"),
            ({"PortBindings": {"80/tcp": [{"HostPort": "70000"}]}}, 400, "70000"),
            ({"CapAdd": ["FLY"]}, 400, "FLY"),
            ({"SecurityOpt": ["nonsense"]}, 400, "nonsense"),
            ({"Ulimits": [{"Name": "nonsense", "Soft": 1, "Hard": 1}]}, 400, "nonsense"),
            ({"Ulimits": [{"Name": "nofile", "Soft": 9, "Hard": 1}]}, 400, "ulimit"),
            ({"Sysctls": {"kernel.panic": "1"}}, 400, "kernel.panic"),
            ({"LogConfig": {"Type": "pigeon"}}, 400, "pigeon"),
            ({"LogConfig": {"Type": "json-file", "Config": {"colour": "x"}}}, 400, "colour"),
            ({"ShmSize": -1}, 400, "shm"),
            ({"Isolation": "hyperv"}, 400, "isolation"),
            ({"Runtime": "no-such-runtime"}, 400, "no-such-runtime"),
            ({"Links": ["nobody:x"]}, 400, "nobody"),
            ({"ExtraHosts": ["nonsense"]}, 400, "nonsense"),
            ({"AutoRemove": True, "RestartPolicy": {"Name": "always"}}, 400, "autoremove"),
            ({"Tmpfs": {"relative": ""}}, 400, "relative"),
            ({"VolumesFrom": ["nobody"]}, 404, "nobody"),
            ({"PidsLimit": "many"}, 400, "pidslimit"),
        ],
        ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
    )
    def test_host_config(
        self, engine: Any, api: Api, host: dict[str, Any], status: int, words: str
    ) -> None:
        answer = create(api, {"Image": "busybox", "Cmd": ["true"], "HostConfig": host})
        if engine.is_pierd:
            if answer.status == 201:  # as with dockerd, some are found out at the start only
                full = answer.json["Id"]
                answer = api.post(f"{V}/containers/{full}/start")
                api.delete(f"{V}/containers/{full}?force=1&v=1")
            assert 400 <= answer.status < 500, (host, answer)
            assert words.lower() in answer.message.lower()
        elif answer.status == 201:
            api.delete(f"{V}/containers/{answer.json['Id']}?force=1&v=1")

    @pytest.mark.parametrize("bad", ["a", "/", "-x", ".x", "a b", "a/b", "naïve", "x\u0000y"])
    def test_names(self, api: Api, bad: str) -> None:
        answer = create(api, {"Image": "busybox"}, bad)
        assert answer.status == 400
        assert "Invalid container name" in answer.message

    @pytest.mark.parametrize(
        "config",
        [
            {"WorkingDir": "relative"},
            {"StopSignal": "SIGNONSENSE"},
            {"Env": ["=x"]},
            {"Healthcheck": {"Test": ["NONSENSE", "x"]}},
            {"Healthcheck": {"Test": ["CMD", "x"], "Interval": -1}},
            {"Healthcheck": {"Test": ["CMD", "x"], "Retries": -1}},
            {"ExposedPorts": {"nonsense": {}}},
            {"Volumes": {"relative": {}}},
            {"Hostname": "a_b!"},
        ],
        ids=json.dumps,
    )
    def test_config(self, engine: Any, api: Api, config: dict[str, Any]) -> None:
        answer = create(api, {"Image": "busybox", **config})
        if answer.status == 201:
            api.delete(f"{V}/containers/{answer.json['Id']}?v=1")
        if engine.is_pierd and "Hostname" not in config:
            assert answer.status == 400, (config, answer)


class TestNotFoundAndConflict:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/containers/nobody/json"),
            ("GET", "/containers/nobody/top"),
            ("GET", "/containers/nobody/logs?stdout=1"),
            ("GET", "/containers/nobody/changes"),
            ("GET", "/containers/nobody/export"),
            ("GET", "/containers/nobody/stats?stream=0"),
            ("GET", "/containers/nobody/archive?path=/"),
            ("POST", "/containers/nobody/start"),
            ("POST", "/containers/nobody/stop"),
            ("POST", "/containers/nobody/restart"),
            ("POST", "/containers/nobody/kill"),
            ("POST", "/containers/nobody/pause"),
            ("POST", "/containers/nobody/unpause"),
            ("POST", "/containers/nobody/wait"),
            ("POST", "/containers/nobody/attach?stream=1&stdout=1"),
            ("POST", "/containers/nobody/resize?h=1&w=1"),
            ("POST", "/containers/nobody/rename?name=other"),
            ("DELETE", "/containers/nobody"),
        ],
    )
    def test_containers(self, api: Api, method: str, path: str) -> None:
        answer = api.request(method, V + path)
        assert answer.status == 404
        assert b"No such container: nobody" in answer.body

    @pytest.mark.parametrize(
        ("method", "path", "words"),
        [
            ("GET", "/images/nothing/json", "No such image: nothing"),
            ("GET", "/images/nothing/history", "No such image: nothing"),
            ("DELETE", "/images/nothing", "No such image: nothing"),
            ("POST", "/images/nothing/tag?repo=x", "No such image: nothing"),
            ("GET", "/images/nothing/get", "No such image: nothing"),
            ("GET", "/volumes/nothing", "nothing"),
            ("DELETE", "/volumes/nothing", "nothing"),
            ("GET", "/networks/nothing", "network nothing not found"),
            ("DELETE", "/networks/nothing", "network nothing not found"),
            ("GET", "/exec/nothing/json", "No such exec instance: nothing"),
            ("POST", "/exec/nothing/start", "nothing"),
        ],
    )
    def test_others(self, api: Api, method: str, path: str, words: str) -> None:
        answer = api.request(method, V + path, {} if path.endswith("start") else None)
        assert answer.status == 404
        assert words.lower() in answer.message.lower()

    def test_not_modified(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "busybox", "sleep", "100")
        answer = api.post(f"{V}/containers/{name}/start")
        assert (answer.status, answer.body) == (304, b"")
        docker("rm", "-f", name)
        docker("create", "--name", name, "busybox", "true")
        answer = api.post(f"{V}/containers/{name}/stop")
        assert (answer.status, answer.body) == (304, b"")
        docker("rm", name)

    def test_an_ambiguous_prefix(self, engine: Any, api: Api, docker: Command) -> None:
        made = [docker("create", "busybox", "true").out for _ in range(17)]  # pigeons, 16 holes
        first = next(c for c in "0123456789abcdef" if sum(m.startswith(c) for m in made) > 1)
        answer = api.get(f"{V}/containers/{first}/json")
        docker("rm", *made)
        assert "multiple ids found" in answer.message.lower()
        assert answer.status == 400 or not engine.is_pierd


class TestQueries:
    @pytest.mark.parametrize(
        "path",
        [
            "/containers/json?filters=nonsense",
            "/containers/json?filters=" + quote('{"colour":["blue"]}'),
            "/containers/json?filters=" + quote('{"status":["flying"]}'),
            "/containers/json?filters=" + quote('{"exited":["x"]}'),
            "/containers/json?limit=x",
            "/images/json?filters=" + quote('{"colour":["blue"]}'),
            "/images/json?filters=" + quote('{"dangling":["maybe"]}'),
            "/volumes?filters=" + quote('{"colour":["blue"]}'),
            "/networks?filters=" + quote('{"colour":["blue"]}'),
            "/events?since=nonsense&until=1",
        ],
    )
    def test_bad_queries(self, engine: Any, api: Api, path: str) -> None:
        answer = api.get(V + path)
        assert answer.message
        assert answer.status == 400 or not engine.is_pierd, answer

    @pytest.mark.parametrize(
        "path",
        [
            "kill?signal=NONSENSE",
            "kill?signal=999",
            "resize?h=x&w=1",
            "wait?condition=whenever",
            "stop?t=x",
            "rename",
            "rename?name=a%20b",
        ],
    )
    def test_bad_verbs(self, engine: Any, api: Api, docker: Command, name: str, path: str) -> None:
        if not engine.is_pierd and path.startswith("wait"):
            pytest.skip("20.10 waits for ever")
        docker("run", "-d", "--name", name, "busybox", "sleep", "100")
        answer = api.post(f"{V}/containers/{name}/{path}", timeout_s=20)
        running = docker("inspect", "-f", "{{.State.Running}}", name).out
        docker("rm", "-f", name)
        if engine.is_pierd:
            assert answer.status == 400, (path, answer)
            assert running == "true"

    def test_networks(self, engine: Any, api: Api) -> None:
        for body, words in (
            (b"{", ""),
            ({}, "name"),
            ({"Name": "  "}, ""),
            ({"Name": "x1", "Driver": "teleport"}, "teleport"),
            ({"Name": "x2", "IPAM": {"Config": [{"Subnet": "300.1.1.0/24"}]}}, "300.1.1.0/24"),
            ({"Name": "x3", "IPAM": {"Config": [{"Subnet": "10.0.0.0/33"}]}}, ""),
            (
                {
                    "Name": "x4",
                    "IPAM": {"Config": [{"Subnet": "10.209.1.0/24", "Gateway": "10.9.9.9"}]},
                },
                "",
            ),
            ({"Name": "bridge"}, ""),
            ({"Name": "x5", "Driver": "host"}, ""),
        ):
            answer = api.post(f"{V}/networks/create", body)
            if answer.status == 201 and not engine.is_pierd:
                api.delete(f"{V}/networks/{answer.json['Id']}")
                continue
            assert answer.status >= 400, (body, answer)
            assert words in answer.message
            assert answer.status < 500 or not engine.is_pierd, (body, answer)

    def test_volumes(self, engine: Any, api: Api) -> None:
        for body in (
            b"{",
            {"Name": "../x"},
            {"Name": "x", "Driver": "teleport"},
            {"Name": 7},
            {"Name": "xx", "DriverOpts": {"colour": "blue"}},
        ):
            answer = api.post(f"{V}/volumes/create", body)
            assert answer.status >= 400, (body, answer)
            assert answer.status < 500 or not engine.is_pierd, (body, answer)

    def test_tag(self, engine: Any, api: Api) -> None:
        for query in ("repo=UPPER", "repo=a%20b", "repo=x&tag=a/b", ""):
            answer = api.post(f"{V}/images/busybox/tag?{query}")
            assert answer.status == 400 or not engine.is_pierd, (query, answer)


class TestRawBytes:
    """What no HTTP library would send."""

    def alive(self, api: Api) -> None:
        assert api.get("/_ping").status == 200

    @pytest.mark.parametrize(
        "data",
        [
            b"\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /_ping HTTP/9.9\r\n\r\n",
            b"NONSENSE /_ping HTTP/1.1\r\nHost: d\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: d\r\n\r\n",
            b"GET /_ping HTTP/1.1\r\nHost: d\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
            b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
            CREATE + b"Content-Length: -5\r\n\r\n",
            CREATE + b"Content-Length: x\r\n\r\n",
            CREATE + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
            CREATE + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
            b"GET /v1.41/containers/../../etc/passwd HTTP/1.1\r\nHost: d\r\n\r\n",
            b"GET /v1.41/containers/%2e%2e%2f%2e%2e/json HTTP/1.1\r\nHost: d\r\n\r\n",
            b"GET /v1.41/containers/%00%ff/json HTTP/1.1\r\nHost: d\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ],
        ids=range(16),
    )
    def test_garbage(self, engine: Any, api: Api, data: bytes) -> None:
        try:
            answer = api.raw(data, timeout_s=3)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        assert b" 500 " not in answer.split(b"\r\n")[0] or not engine.is_pierd
        self.alive(api)

    def test_a_slow_client_blocks_nobody(self, api: Api) -> None:
        with api.connect() as slow:
            slow.sendall(b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Le")
            begin = time.monotonic()
            self.alive(api)
            assert time.monotonic() - begin < 1

    def test_a_json_body_too_large(self, engine: Any, api: Api) -> None:
        if not engine.is_pierd:
            pytest.skip("dockerd 20.10 reads it all")
        body = b'{"Image": "busybox", "Labels": {"a": "' + b"x" * (40 << 20) + b'"}}'
        try:
            answer = api.post(
                f"{V}/containers/create", body, headers={"Content-Type": "application/json"}
            )
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed on us while we still sent: fine too
        else:
            assert answer.status in (400, 413)
        self.alive(api)

    def test_deep_json(self, engine: Any, api: Api) -> None:
        for body in (b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000):
            answer = api.post(
                f"{V}/containers/create", body, headers={"Content-Type": "application/json"}
            )
            assert answer.status == 400 or not engine.is_pierd
        self.alive(api)

    @pytest.mark.parametrize("body", [b"\xff\xfe", b'{"Image": "\xff"}', b'{"Image": "\\ud800"}'])
    def test_not_unicode(self, engine: Any, api: Api, body: bytes) -> None:
        answer = api.post(
            f"{V}/containers/create", body, headers={"Content-Type": "application/json"}
        )
        assert 400 <= answer.status < 500 or not engine.is_pierd

    def test_no_content_type(self, engine: Any, api: Api) -> None:
        answer = api.post(
            f"{V}/containers/create", b'{"Image":"x"}', headers={"Content-Type": "text/html"}
        )
        assert answer.status >= 400


class TestVanishingClients:
    """A client that goes away in the middle leaves a daemon as before."""

    def go_away(self, api: Api, data: bytes, *, wait_s: float = 0.2, reset: bool = True) -> None:
        connection = api.connect()
        connection.sendall(data)
        time.sleep(wait_s)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def test_in_mid_load(self, api: Api, docker: Command) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            entry = tarfile.TarInfo("big")
            entry.size = 10 << 20
            tar.addfile(entry, io.BytesIO(os.urandom(10 << 20)))
        half = out.getvalue()[: 5 << 20]
        for path in ("images/load", "images/create?fromSrc=-&repo=half&tag=1"):
            head = f"POST {V}/{path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n"
            self.go_away(
                api, f"{head}Content-Length: {len(out.getvalue())}\r\n\r\n".encode() + half
            )
        time.sleep(0.5)
        assert "half" not in docker("images").stdout

    def test_in_mid_download(self, api: Api, docker: Command, name: str) -> None:
        docker("create", "--name", name, "busybox", "true")
        for path in (
            f"containers/{name}/export",
            "images/busybox/get",
            f"containers/{name}/archive?path=/",
            "events",
        ):
            self.go_away(api, f"GET {V}/{path} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        docker("rm", name)

    def test_in_mid_upload_into_a_container(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "busybox", "sleep", "100")
        head = f"PUT {V}/containers/{name}/archive?path=/tmp HTTP/1.1\r\nHost: d\r\n"
        self.go_away(api, f"{head}Content-Length: 1000000\r\n\r\n".encode() + bytes(5000))
        assert docker("exec", name, "echo", "fine").out == "fine"
        docker("rm", "-f", name)

    def test_while_waiting(self, api: Api, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "busybox", "sleep", "100")
        for path in (f"{name}/wait", f"{name}/attach?stream=1&stdout=1&stdin=1"):
            head = f"POST {V}/containers/{path} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n"
            self.go_away(api, f"{head}\r\n".encode())
        for path in ("stats", "logs?follow=1&stdout=1"):
            self.go_away(
                api, f"GET {V}/containers/{name}/{path} HTTP/1.1\r\nHost: d\r\n\r\n".encode()
            )
        assert docker("inspect", "-f", "{{.State.Running}}", name).out == "true"
        docker("rm", "-f", name)

    def test_a_reader_that_does_not_read(self, api: Api, docker: Command, name: str) -> None:
        """Full buffers of one client stop neither the daemon nor the container."""
        docker("run", "-d", "--name", name, "busybox", "sh", "-c", "seq 3000000; sleep 100")
        with api.connect() as stuck:
            stuck.sendall(
                f"GET {V}/containers/{name}/logs?follow=1&stdout=1 HTTP/1.1\r\n"
                "Host: d\r\n\r\n".encode()
            )
            time.sleep(0.5)
            begin = time.monotonic()
            assert api.get("/_ping").status == 200
            assert time.monotonic() - begin < 1
            docker("exec", name, "true")
        docker("rm", "-f", name)


class TestTarBombs:
    def entry(
        self, name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""
    ) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = size, kind, link
        return info

    def pack(self, *entries: tarfile.TarInfo) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for info in entries:
                tar.addfile(info, io.BytesIO(b"x" * info.size))
        return out.getvalue()

    @pytest.mark.parametrize(
        "which", ["dots", "absolute", "symlink", "hardlink", "device-over-dir"]
    )
    def test_imports_stay_inside(
        self, engine: Any, api: Api, docker: Command, which: str, unique: Unique
    ) -> None:
        from pathlib import Path

        mark = Path("/var/tmp/pierhead-traversal")
        mark.unlink(missing_ok=True)
        entries = {
            "dots": [self.entry("../../../../../../var/tmp/pierhead-traversal", 1)],
            "absolute": [self.entry("/var/tmp/pierhead-traversal", 1)],
            "symlink": [
                self.entry("out", kind=tarfile.SYMTYPE, link="/var/tmp"),
                self.entry("out/pierhead-traversal", 1),
            ],
            "hardlink": [
                self.entry("link", kind=tarfile.LNKTYPE, link="../../../../../../etc/passwd"),
            ],
            "device-over-dir": [
                self.entry("d", kind=tarfile.DIRTYPE),
                self.entry("d", kind=tarfile.CHRTYPE),
            ],
        }[which]
        ref = f"{unique('hostile')}:1"
        docker("import", "-", ref, input=self.pack(*entries), check=False)
        docker("create", "--name", ref.replace(":", "-"), ref, "x", check=False)
        docker("rm", "-f", ref.replace(":", "-"), check=False)
        docker("rmi", "-f", ref, check=False)
        assert not mark.exists()

    def test_a_compressed_bomb_in_json_clothes(self, engine: Any, api: Api) -> None:
        """A manifest.json of 200 MB of blanks must not be read into memory."""
        import gzip

        if not engine.is_pierd:
            pytest.skip("dockerd's own business")
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb") as packed:
            with tarfile.open(fileobj=packed, mode="w|") as tar:
                info = self.entry("manifest.json", 200 << 20)

                class Blanks(io.RawIOBase):
                    def read(self, size: int = -1) -> bytes:
                        return b" " * size

                tar.addfile(info, Blanks())
        answer = api.post(f"{V}/images/load", out.getvalue(), timeout_s=60)
        assert answer.status == 400 or b"error" in answer.body
        memory = int(
            next(
                line.split()[1]
                for line in open(f"/proc/{engine.pierd.pid}/status")
                if line.startswith("VmRSS")
            )
        )
        assert memory < 300_000, f"{memory} kB resident"
