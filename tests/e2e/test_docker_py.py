"""A broad pass over docker-py, the SDK that most Python programs use."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Unique = Callable[[str], str]
SLEEP = ["sleep", "1000"]


@pytest.fixture
def box(docker_py: Any, name: str) -> Iterator[Any]:
    container = docker_py.containers.run("busybox", SLEEP, name=name, detach=True)
    yield container
    container.remove(force=True)


class TestContainers:
    def test_run(self, docker_py: Any) -> None:
        assert docker_py.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"

    def test_run_fails(self, docker_py: Any) -> None:
        from docker.errors import APIError, ContainerError, ImageNotFound

        with pytest.raises(ContainerError) as caught:
            docker_py.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
        assert (caught.value.exit_status, caught.value.stderr) == (3, b"bad\n")
        with pytest.raises(APIError):
            docker_py.containers.run("busybox", ["no-such-command"], remove=True)
        with pytest.raises(ImageNotFound):
            docker_py.images.get("no-such-image")

    def test_everything_at_once(self, docker_py: Any, name: str, tmp_path: Any) -> None:
        from docker.types import LogConfig, Mount, Ulimit

        container = docker_py.containers.create(
            "busybox",
            SLEEP,
            name=name,
            environment={"A": "1"},
            labels={"k": "v"},
            hostname="box",
            working_dir="/tmp",
            user="1000",
            mem_limit="64m",
            nano_cpus=500_000_000,
            cap_add=["NET_ADMIN"],
            cap_drop=["MKNOD"],
            ports={"80/tcp": ("127.0.0.1", None)},
            volumes={str(tmp_path): {"bind": "/mnt", "mode": "ro"}},
            mounts=[Mount("/vol", "", type="volume")],
            tmpfs={"/t": "size=1m"},
            ulimits=[Ulimit(name="nofile", soft=100, hard=200)],
            log_config=LogConfig(type="json-file", config={"max-size": "1m"}),
            restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
            extra_hosts={"db": "10.0.0.1"},
            dns=["10.0.0.2"],
            init=True,
            stop_signal="SIGINT",
            healthcheck={"test": ["CMD", "true"], "interval": 10**9},
            read_only=True,
            security_opt=["no-new-privileges"],
            sysctls={"net.ipv4.ip_forward": "1"},
            shm_size="32m",
            pids_limit=50,
            tty=True,
            stdin_open=True,
        )
        container.start()
        container.reload()
        assert container.status == "running"
        code, out = container.exec_run(
            ["sh", "-c", "echo $A $(pwd) $(id -u) $(hostname); ulimit -n"]
        )
        assert (code, out.split()) == (0, [b"1", b"/tmp", b"1000", b"box", b"100"])
        assert container.ports["80/tcp"][0]["HostIp"] == "127.0.0.1"
        container.remove(force=True, v=True)

    def test_life(self, box: Any) -> None:
        box.pause()
        box.reload()
        assert box.status == "paused"
        box.unpause()
        box.restart(timeout=1)
        box.kill()
        assert box.wait()["StatusCode"] == 137
        box.start()
        box.rename(box.name + "-new")
        box.reload()
        assert box.name.endswith("-new")
        box.update(mem_limit="32m", memswap_limit="64m")
        box.stop(timeout=1)
        box.reload()
        assert box.status == "exited"

    def test_exec(self, box: Any) -> None:
        assert box.exec_run(["echo", "x"]).output == b"x\n"
        assert box.exec_run("false").exit_code == 1
        out = box.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True).output
        assert out == (b"out\n", b"err\n")
        chunks = box.exec_run(
            ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"], stream=True
        )
        assert b"".join(chunks.output) == b"1\n2\n3\n"
        assert box.exec_run("id -u", user="33").output.strip() == b"33"

    def test_exec_socket(self, docker_py: Any, box: Any) -> None:
        made = docker_py.api.exec_create(box.id, ["cat"], stdin=True)
        sock = docker_py.api.exec_start(made["Id"], socket=True)
        raw = getattr(sock, "_sock", sock)
        raw.sendall(b"over the socket\n")
        assert raw.recv(100)[8:] == b"over the socket\n"
        sock.close()

    def test_attach_socket(self, docker_py: Any) -> None:
        container = docker_py.containers.create("busybox", ["cat"], stdin_open=True)
        sock = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        container.start()
        raw = getattr(sock, "_sock", sock)
        raw.settimeout(10)
        raw.sendall(b"typed\n")
        got = b""
        while len(got) < 14:
            got += raw.recv(100)
        assert got == b"\1\0\0\0\0\0\0\6typed\n"
        sock.close()
        container.remove(force=True)

    def test_logs(self, docker_py: Any, name: str) -> None:
        container = docker_py.containers.run(
            "busybox", ["sh", "-c", "echo a; sleep 0.1; echo b >&2"], name=name, detach=True
        )
        container.wait()
        assert container.logs() == b"a\nb\n"
        assert container.logs(stderr=False) == b"a\n"
        assert container.logs(tail=1) == b"b\n"
        assert list(container.logs(stream=True, follow=True)) != []
        assert b"T" in container.logs(timestamps=True)
        container.remove()

    def test_attach_stream(self, docker_py: Any, name: str) -> None:
        container = docker_py.containers.run(
            "busybox", ["sh", "-c", "sleep 0.5; echo late"], name=name, detach=True
        )
        assert b"".join(container.attach(stream=True)) == b"late\n"
        container.remove()

    def test_archive(self, box: Any) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            entry = tarfile.TarInfo("f")
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"data"))
        assert box.put_archive("/tmp", out.getvalue())
        stream, stat = box.get_archive("/tmp/f")
        assert (stat["name"], stat["size"]) == ("f", 4)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            member = tar.extractfile("f")
            assert member is not None and member.read() == b"data"

    def test_diff_top_stats_export(self, box: Any) -> None:
        box.exec_run(["touch", "/new"])
        assert {"Path": "/new", "Kind": 1} in box.diff()
        assert box.top()["Processes"][0][-1] == "sleep 1000"
        stats = box.stats(stream=False)
        assert stats["pids_stats"]["current"] >= 1
        assert stats["memory_stats"]["usage"] > 0
        assert "eth0" in stats["networks"]
        streamed = box.stats(stream=True, decode=True)
        assert next(streamed)["read"] != next(streamed)["read"]
        assert sum(len(chunk) for chunk in box.export()) > 100_000

    def test_list_and_get(self, docker_py: Any, box: Any) -> None:
        assert box.id in [c.id for c in docker_py.containers.list()]
        assert docker_py.containers.list(filters={"name": box.name})[0].id == box.id
        assert docker_py.containers.get(box.short_id).id == box.id
        assert "busybox:latest" in box.image.tags

    def test_wait_conditions(self, docker_py: Any, name: str) -> None:
        container = docker_py.containers.create("busybox", ["sh", "-c", "exit 6"], name=name)
        answers: list[Any] = []
        waiter = threading.Thread(
            target=lambda: answers.append(container.wait(condition="next-exit"))
        )
        waiter.start()
        time.sleep(0.4)
        container.start()
        waiter.join(10)
        assert answers[0]["StatusCode"] == 6
        container.remove()

    def test_prune(self, docker_py: Any) -> None:
        gone = docker_py.containers.create("busybox", "true", labels=["prune-me"])
        answer = docker_py.containers.prune(filters={"label": "prune-me"})
        assert answer["ContainersDeleted"] == [gone.id]

    def test_resize(self, docker_py: Any) -> None:
        container = docker_py.containers.run("busybox", "sleep 100", tty=True, detach=True)
        container.resize(30, 100)
        assert container.exec_run("stty size", tty=True).exit_code in (0, 1)
        container.remove(force=True)


class TestImages:
    def test_list_get_tag_remove(self, docker_py: Any, unique: Unique) -> None:
        image = docker_py.images.get("busybox")
        repo = unique("py")
        assert image.tag(repo, "v1")
        assert f"{repo}:v1" in docker_py.images.get(f"{repo}:v1").tags
        assert [i.id for i in docker_py.images.list(repo)] == [image.id]
        docker_py.images.remove(f"{repo}:v1")
        assert docker_py.images.list(repo) == []
        assert image.history()

    def test_save_and_load(self, docker_py: Any, unique: Unique) -> None:
        repo = unique("pysave")
        docker_py.images.get("busybox").tag(repo)
        data = b"".join(docker_py.images.get(repo).save(named=True))
        loaded = docker_py.images.load(data)
        assert loaded[0].id == docker_py.images.get("busybox").id
        docker_py.images.remove(docker_py.images.get(repo).tags[-1])

    def test_commit_and_import(self, docker_py: Any, box: Any, unique: Unique) -> None:
        repo = unique("pycommit")
        image = box.commit(repo, "1", message="m", author="a", conf={"Cmd": ["echo", "committed"]})
        assert docker_py.containers.run(f"{repo}:1", remove=True) == b"committed\n"
        docker_py.images.remove(image.id, force=True)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("f"))
        docker_py.api.import_image_from_data(out.getvalue(), repository=repo, tag="2")
        docker_py.images.remove(f"{repo}:2")

    def test_prune(self, docker_py: Any) -> None:
        assert "SpaceReclaimed" in docker_py.images.prune(filters={"dangling": True})


class TestNetworksVolumesSystem:
    def test_networks(self, docker_py: Any, box: Any, unique: Unique) -> None:
        net = docker_py.networks.create(unique("pynet"), driver="bridge", labels={"a": "b"})
        net.connect(box, aliases=["other"])
        net.reload()
        assert [c.id for c in net.containers] == [box.id]
        net.disconnect(box)
        assert docker_py.networks.get(net.id).name == net.name
        assert net.id in [n.id for n in docker_py.networks.list()]
        net.remove()

    def test_volumes(self, docker_py: Any, unique: Unique) -> None:
        volume = docker_py.volumes.create(unique("pyvol"), labels={"a": "b"})
        assert docker_py.volumes.get(volume.name).attrs["Labels"] == {"a": "b"}
        assert volume.name in [v.name for v in docker_py.volumes.list()]
        mount = {volume.name: {"bind": "/v", "mode": "rw"}}
        docker_py.containers.run("busybox", "touch /v/x", volumes=mount, remove=True)
        volume.remove()

    def test_system(self, docker_py: Any) -> None:
        assert docker_py.ping()
        assert docker_py.version()["ApiVersion"]
        assert docker_py.info()["Driver"]
        assert "Containers" in docker_py.df()

    def test_events(self, docker_py: Any, name: str) -> None:
        stream = docker_py.events(decode=True, filters={"container": name})
        seen: list[str] = []

        def watch() -> None:
            for event in stream:
                seen.append(event["Action"])
                if event["Action"] == "destroy":
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        time.sleep(0.3)
        docker_py.containers.run("busybox", "true", name=name, remove=True)
        watcher.join(10)
        stream.close()
        assert [a for a in seen if a in ("create", "start", "die", "destroy")] == [
            "create",
            "start",
            "die",
            "destroy",
        ]
