"""The service with a directory for a snapshot: real workers, so root is needed."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.engine.config import ContainerConfig, HostConfig, MountPoint
from pierhead.engine.containers.files import ContainerFiles
from pierhead.engine.containers.model import MountRecord
from pierhead.errors import Forbidden, InvalidParameter, NotFound
from pierhead.linux import mounts
from pierhead.store.paths import Paths

pytestmark = pytest.mark.root


class Snapshots:
    """Binds one directory, and notes what happens."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.mounted = 0

    def mount(self, key: str, target: Path) -> None:
        mounts.bind(self.tree, target, propagation="private")
        self.mounted += 1

    def unmount(self, target: Path) -> None:
        mounts.unmount(target, lazy=True)
        self.mounted -= 1

    async def changes(self, key: str) -> list[Any]:
        return [SimpleNamespace(path="/etc", kind=0), SimpleNamespace(path="/etc/x", kind=1)]


class Volumes:
    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def needs_mount(self, mounts: object) -> bool:
        return False

    def view(self, mounts: object) -> list[dict[str, Any]]:
        return self.given

    async def stopped(self, container_id: str, mounts: object) -> None:
        pass


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    base = tmp_path / "tree"
    (base / "etc").mkdir(parents=True)
    (base / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\nuser:x:7:8::/:/bin/sh\n")
    (base / "vol").mkdir()
    (base / "out").symlink_to("/../../../../../../../etc/hostname")
    return base


@pytest.fixture
def snapshots(tree: Path) -> Snapshots:
    return Snapshots(tree)


@pytest.fixture
def volumes() -> Volumes:
    return Volumes()


@pytest.fixture
def files(tmp_path: Path, snapshots: Snapshots, volumes: Volumes) -> Iterator[ContainerFiles]:
    paths = Paths(tmp_path / "data", tmp_path / "exec")
    paths.create()
    yield ContainerFiles(paths=paths, snapshots=snapshots, volumes=volumes)  # type: ignore[arg-type]
    assert snapshots.mounted == 0


def container(**host: Any) -> Any:
    record = SimpleNamespace(
        config=ContainerConfig(user="user"),
        host_config=HostConfig(**host),
        mounts=[MountRecord(point=MountPoint(type="bind"))],
    )
    status = SimpleNamespace(pid=0)
    return SimpleNamespace(
        id="c" * 64, name="box", record=record, status=status, lock=asyncio.Lock()
    )


def one_file(name: str, content: bytes = b"new", uid: int = 5) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.uid, entry.gid = len(content), uid, uid
        tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


async def read(files: ContainerFiles, path: str) -> tuple[dict[str, Any], tarfile.TarFile]:
    found, stream = await files.archive(container(), path)
    data = b"".join([chunk async for chunk in stream])
    return found, tarfile.open(fileobj=io.BytesIO(data))


async def test_out_of_a_stopped_container(files: ContainerFiles) -> None:
    found, tar = await read(files, "/etc")
    assert found["name"] == "etc" and tar.getnames() == ["etc", "etc/passwd"]
    _, tar = await read(files, "etc/.")
    assert tar.getnames() == [".", "./passwd"]
    found, tar = await read(files, "/etc/passwd")
    assert found == await files.stat(container(), "/etc/passwd")
    assert tar.getnames() == ["passwd"]


async def test_a_link_stays_one_and_leads_nowhere(files: ContainerFiles) -> None:
    found, tar = await read(files, "/out")
    assert tar.getmember("out").issym() and found["linkTarget"] == "/etc/hostname"
    with pytest.raises(NotFound):
        await files.stat(container(), "/out/.")


async def test_not_there(files: ContainerFiles) -> None:
    for path in ("/nope", "/etc/passwd/x"):
        with pytest.raises(NotFound) as caught:
            await files.archive(container(), path)
        assert caught.value.message == f"Could not find the file {path} in container box"
        with pytest.raises(NotFound):
            await files.stat(container(), path)
    with pytest.raises(InvalidParameter):
        await files.stat(container(), "a\0b")


async def test_into_a_stopped_container(files: ContainerFiles, tree: Path) -> None:
    await files.extract(container(), "/etc", chunks(one_file("a/b")))
    made = tree / "etc" / "a" / "b"
    assert made.read_text() == "new" and made.stat().st_uid == 5
    await files.extract(container(), "/", chunks(one_file("mine")), copy_uid_gid=True)
    assert ((tree / "mine").stat().st_uid, (tree / "mine").stat().st_gid) == (7, 8)


async def test_through_a_mount(
    files: ContainerFiles, volumes: Volumes, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "volume").mkdir()
    mount = {
        "source": str(tmp_path / "volume"),
        "target": "/vol",
        "read_only": False,
        "recursive": False,
    }
    volumes.given = [mount]
    await files.extract(container(), "/vol", chunks(one_file("f")))
    assert os.listdir(tmp_path / "volume") == ["f"] and os.listdir(tree / "vol") == []
    volumes.given = [{**mount, "read_only": True}]
    with pytest.raises(Forbidden, match="mounted volume is marked read-only"):
        await files.extract(container(), "/vol", chunks(one_file("g")))
    volumes.given = [{**mount, "target": "/made/here"}]
    _, tar = await read(files, "/made/here/f")
    assert tar.getnames() == ["f"]


async def test_the_files_about_names(files: ContainerFiles, tmp_path: Path, tree: Path) -> None:
    with pytest.raises(NotFound):
        await files.stat(container(), "/etc/hosts")
    directory = tmp_path / "data" / "containers" / ("c" * 64)
    directory.mkdir(parents=True)
    (directory / "hosts").write_text("127.0.0.1\tlocalhost\n")
    _, tar = await read(files, "/etc/hosts")
    member = tar.extractfile("hosts")
    assert member is not None and member.read() == b"127.0.0.1\tlocalhost\n"


async def test_a_read_only_root(files: ContainerFiles) -> None:
    with pytest.raises(Forbidden, match="container rootfs is marked read-only"):
        await files.extract(container(readonly_rootfs=True), "/", chunks(one_file("f")))


async def test_bad_targets_and_tars(files: ContainerFiles) -> None:
    with pytest.raises(InvalidParameter, match="extraction point is not a directory"):
        await files.extract(container(), "/etc/passwd", chunks(one_file("f")))
    with pytest.raises(NotFound):
        await files.extract(container(), "/nope", chunks(one_file("f")))
    with pytest.raises(InvalidParameter):
        await files.extract(container(), "/", chunks(b"no tar at all" * 100))
    with pytest.raises(InvalidParameter, match="outside of the target"):
        await files.extract(container(), "/etc", chunks(one_file("../x")))


async def test_a_client_that_goes_away(files: ContainerFiles, tree: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield one_file("f", b"x" * 100_000)[:50_000]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await files.extract(container(), "/", broken())
    (tree / "big").write_bytes(os.urandom(3 << 20))
    target = container()
    _, stream = await files.archive(target, "/big")
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert not target.lock.locked()


async def test_what_a_killed_pierd_left_mounted(
    tmp_path: Path, snapshots: Snapshots, volumes: Volumes, tree: Path
) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "exec")
    stray = paths.exec_root / "views" / "0123"
    stray.mkdir(parents=True)
    snapshots.mount("0123", stray)
    ContainerFiles(paths=paths, snapshots=snapshots, volumes=volumes)  # type: ignore[arg-type]
    assert not stray.exists() and (tree / "etc").exists()


async def test_export_and_changes(files: ContainerFiles) -> None:
    data = b"".join([chunk async for chunk in await files.export(container())])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["etc", "out", "vol", "etc/passwd"]
    got = await files.changes(container())
    assert json.dumps(got) == '[{"Path": "/etc", "Kind": 0}, {"Path": "/etc/x", "Kind": 1}]'


async def test_a_running_container_by_its_process(files: ContainerFiles) -> None:
    running = container()
    running.status.pid = os.getpid()
    assert (await files.stat(running, "/etc/hostname"))["name"] == "hostname"
    _, stream = await files.archive(running, "/etc/hostname")
    data = b"".join([chunk async for chunk in stream])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["hostname"]
    with pytest.raises(NotFound):
        await files.stat(running, "/no/such")
