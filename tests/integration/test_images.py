"""Images on a real store: bootstrap, load, save, commit, and death in the middle of it."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pierhead.engine.events import EventBus
from pierhead.engine.images import busybox
from pierhead.engine.images.service import ImageService
from pierhead.errors import InvalidParameter, Unavailable
from pierhead.linux import mounts
from pierhead.oci.digest import sha256
from pierhead.oci.image_config import RunConfig
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots.overlay import OverlaySnapshotter
from support.archives import layer as outer_tar

pytestmark = pytest.mark.root


class Store:
    """A data root with images on it."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "data", root / "exec")
        self.paths.create()
        self.db = Database.open(self.paths.database)
        self.snapshots = OverlaySnapshotter(self.paths, self.db)
        self.images = ImageService(
            paths=self.paths,
            db=self.db,
            blobs=BlobStore(self.paths),
            snapshots=self.snapshots,
            events=EventBus(self.db),
        )

    async def close(self) -> None:
        await self.snapshots.close()
        self.db.close()

    async def busybox(self) -> str:
        async for _ in self.images.bootstrap("busybox"):
            pass
        return self.images.resolve("busybox").id

    async def load(self, data: bytes, **options: Any) -> list[str]:
        """The ``stream`` lines of a load."""
        messages = [m async for m in self.images.load(chunked(data), **options)]
        if messages and "error" in messages[-1]:
            assert messages[-1]["errorDetail"] == {"message": messages[-1]["error"]}
            raise InvalidParameter(messages[-1]["error"])
        return [message["stream"].strip() for message in messages if "stream" in message]

    async def save(self, *refs: str) -> bytes:
        return b"".join([chunk async for chunk in self.images.save(list(refs))])

    def leftovers(self) -> list[str]:
        """Everything on disk that belongs to layers, blobs and scratch."""
        root = self.paths.snapshots / "overlay2"
        places = (root / "layers", self.paths.tmp, self.paths.ingest, self.paths.blobs / "sha256")
        return [str(path) for place in places for path in place.iterdir()]


async def chunked(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path)
    yield store
    await store.close()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "other")
    yield store
    await store.close()


def layer_tar(**files: bytes) -> bytes:
    return outer_tar(files)


def config(*layers: bytes, **fields: Any) -> bytes:
    return json.dumps(
        {
            "os": "linux",
            "architecture": os.uname().machine.replace("x86_64", "amd64"),
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
            **fields,
        }
    ).encode()


def docker_archive(*images: tuple[str, bytes, list[bytes]], names: str = "{}/layer.tar") -> bytes:
    files: dict[str, bytes] = {}
    listing = []
    for name, blob, layers in images:
        files[f"{sha256(blob)[7:]}.json"] = blob
        paths = []
        for layer in layers:
            path = names.format(sha256(layer)[7:19])
            files[path] = layer
            paths.append(path)
        listing.append(
            {"Config": f"{sha256(blob)[7:]}.json", "RepoTags": [name] if name else None,
             "Layers": paths}
        )  # fmt: skip
    files["manifest.json"] = json.dumps(listing).encode()
    return outer_tar(files)


# Bootstrap


async def test_busybox_in_two_seconds_and_the_same_twice(store: Store, other: Store) -> None:
    times = []
    ids = set()
    for place in (store, other):
        started = time.monotonic()
        ids.add(await place.busybox())
        times.append(time.monotonic() - started)
    assert len(ids) == 1
    assert min(times) < 2
    details = store.images.inspect("busybox")
    assert details["Config"]["Cmd"] == ["sh"]
    assert details["Config"]["Env"][0].startswith("PATH=/usr/local/sbin:")


async def test_busybox_runs(store: Store, tmp_path: Path) -> None:
    await store.busybox()
    await store.snapshots.prepare("key", store.images.resolve("busybox").chain_id)
    root = tmp_path / "rootfs"
    root.mkdir()
    store.snapshots.mount("key", root)
    try:
        command = ["chroot", root, "/bin/sh", "-c", "ls /bin/sh /usr/bin/env && id -un && cd /tmp"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["/bin/sh", "/usr/bin/env", "root"]
    finally:
        store.snapshots.unmount(root)


async def test_the_downloaded_package_gives_the_same_image(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none() -> None:
        return None

    installed = await busybox._installed()
    if installed is None:
        pytest.skip("busybox-static is not installed unchanged")
    expected = await store.busybox()
    monkeypatch.setattr(busybox, "_installed", none)
    try:
        found = await other.busybox()
    except Unavailable as error:
        pytest.skip(f"no package archive: {error}")
    newer = other.images.history("busybox")[0]["CreatedBy"]
    if installed.version in newer:
        assert found == expected


async def test_a_changed_busybox_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "info"
    info.mkdir()
    (info / "busybox-static.md5sums").write_text(f"{'0' * 32}  bin/busybox\n")
    monkeypatch.setattr(busybox, "_INFO", info)
    assert await busybox._installed() is None


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="needs mmdebstrap")
async def test_debian_is_reproducible_and_knows_nothing_of_this_host(
    store: Store, other: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        for place in (store, other):
            async for _ in place.images.bootstrap("debian:bookworm"):
                pass
    except Unavailable as error:
        pytest.skip(f"no package archive: {error}")
    image = store.images.resolve("debian:bookworm")
    assert other.images.resolve("debian:bookworm").id == image.id
    root = tmp_path / "view"
    root.mkdir()
    store.snapshots.mount_readonly(image.chain_id, root)
    try:
        for name in ("etc/hostname", "etc/resolv.conf", "etc/hosts"):
            assert not (root / name).exists()
        assert (root / "usr/bin/apt-get").exists()
        assert "deb " in (root / "etc/apt/sources.list").read_text()
        assert set(os.listdir(root / "var/lib/apt/lists")) <= {"lock", "auxfiles", "partial"}
        assert not any("roxy" in path.read_text() for path in (root / "etc/apt").rglob("*conf*/*"))
        newest = max(
            os.lstat(os.path.join(directory, name)).st_mtime
            for directory, names, files in os.walk(root)
            for name in [*names, *files]
        )
        assert newest * 10**9 <= image.created_ns
    finally:
        store.snapshots.unmount(root)


# Load and save


@pytest.mark.parametrize("names", ["{}/layer.tar", "{}.tar", "blobs/sha256/{}"])
async def test_docker_archives_of_every_age(store: Store, names: str) -> None:
    base, top = layer_tar(a=b"base"), layer_tar(b=b"top")
    one, two = config(base), config(base, top)
    data = docker_archive(("one:1", one, [base]), ("x/two:2", two, [base, top]), names=names)
    assert await store.load(data) == ["Loaded image: one:1", "Loaded image: x/two:2"]
    assert store.images.resolve("one:1").id == sha256(one)
    assert store.images.inspect("x/two:2")["RootFS"]["Layers"] == [sha256(base), sha256(top)]
    assert len(store.snapshots.layers()) == 2
    assert os.listdir(store.paths.tmp) == []


async def test_compressed_archives_and_compressed_layers(store: Store) -> None:
    layer = layer_tar(a=b"x" * 100_000)
    files = {
        "c.json": config(layer),
        "l.tar.gz": gzip.compress(layer),
        "manifest.json": b'[{"Config":"c.json","RepoTags":["z:1"],"Layers":["l.tar.gz"]}]',
    }
    for packed in (gzip.compress, lambda data: data):
        assert await store.load(packed(outer_tar(files))) == ["Loaded image: z:1"]
    archive = tarfile.open(fileobj=io.BytesIO(await store.save("z:1")))
    saved = archive.extractfile(f"blobs/sha256/{sha256(layer)[7:]}")
    assert saved is not None and saved.read() == layer


async def test_layers_that_are_links(store: Store) -> None:
    layer = layer_tar(a=b"1")
    files = {
        "c.json": config(layer, layer),
        "a/layer.tar": layer,
        "manifest.json": json.dumps(
            [{"Config": "c.json", "RepoTags": ["l:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}]
        ).encode(),
    }
    data = outer_tar(files, {"b/layer.tar": "../a/layer.tar"})
    assert await store.load(data) == ["Loaded image: l:1"]


async def test_archives_of_docker_before_1_10(store: Store) -> None:
    files = {
        "repositories": b'{"old": {"1": "top"}}',
        "top/json": json.dumps(
            {"parent": "base", "os": "linux", "config": {"Cmd": ["x"]}}
        ).encode(),
        "top/layer.tar": layer_tar(b=b"2"),
        "base/json": b"{}",
        "base/layer.tar": layer_tar(a=b"1"),
    }
    assert await store.load(outer_tar(files)) == ["Loaded image: old:1"]
    assert store.images.inspect("old:1")["Config"]["Cmd"] == ["x"]


async def test_an_image_without_a_name(store: Store) -> None:
    layer = layer_tar(a=b"1")
    image_id = sha256(config(layer))
    assert await store.load(docker_archive(("", config(layer), [layer]))) == [
        f"Loaded image ID: {image_id}"
    ]


async def test_a_name_moves_and_the_old_image_is_told(store: Store) -> None:
    one, two = layer_tar(a=b"1"), layer_tar(a=b"2")
    await store.load(docker_archive(("n:1", config(one), [one])))
    assert await store.load(docker_archive(("n:1", config(two), [two]))) == [
        f"The image n:1 already exists, renaming the old one with ID {sha256(config(one))} "
        "to empty string",
        "Loaded image: n:1",
    ]


async def test_progress_as_dockers(store: Store) -> None:
    layer = layer_tar(a=os.urandom(3_000_000))
    data = docker_archive(("p:1", config(layer), [layer]))
    messages = [m async for m in store.images.load(chunked(data))]
    assert messages[-2] == {
        "status": "Loading layer",
        "progressDetail": {"current": len(layer), "total": len(layer)},
        "progress": messages[-2]["progress"],
        "id": sha256(layer)[7:19],
    }
    assert messages[-1] == {"stream": "Loaded image: p:1\n"}
    quiet = [m async for m in store.images.load(chunked(data), quiet=True)]
    assert quiet == [{"stream": "Loaded image: p:1\n"}]


async def test_what_is_saved_loads_again(store: Store, other: Store) -> None:
    await store.busybox()
    layer = layer_tar(extra=b"x")
    await store.load(docker_archive(("two", config(layer), [layer])).replace(b'"two"', b'"t:1"'))
    store.images.tag("busybox", "localhost:5000/bb", "v1")
    data = await store.save("busybox", "localhost:5000/bb:v1", "t:1")
    assert sorted(await other.load(data)) == [
        "Loaded image: busybox:latest",
        "Loaded image: localhost:5000/bb:v1",
        "Loaded image: t:1",
    ]
    for name in ("busybox", "t:1"):
        assert other.images.resolve(name).id == store.images.resolve(name).id
    without = outer_tar(
        {
            member.name: tarfile.open(fileobj=io.BytesIO(data)).extractfile(member).read()  # type: ignore[union-attr]
            for member in tarfile.open(fileobj=io.BytesIO(data))
            if member.isreg() and member.name != "manifest.json"
        }
    )
    await other.images.remove("busybox")
    assert "Loaded image: busybox:latest" in await other.load(without), "as an OCI layout"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no manifest.json"),
        (b"garbage" * 1000, "invalid tar header"),
        (gzip.compress(b"garbage" * 1000), "invalid tar header"),
        (outer_tar({"a": b"b"}), "no manifest.json"),
        (outer_tar({"manifest.json": b"[{}]"}), "want Config"),
        (outer_tar({"manifest.json": b'[{"Config":"../../etc/passwd"}]'}), "outside"),
        (outer_tar({"manifest.json": b'[{"Config":"c"}]', "c": b"no"}), "invalid image config"),
    ],
)
async def test_bad_archives_leave_nothing(store: Store, data: bytes, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        await store.load(data)
    assert store.leftovers() == []


async def test_a_bad_second_layer_takes_the_first_along(store: Store) -> None:
    good, bad = layer_tar(a=b"1"), layer_tar(b=b"2")
    blob = config(good, bad)
    data = docker_archive(("x:1", blob, [good, bad])).replace(b"\x002\x00", b"\x003\x00")
    data = data.replace(bad, layer_tar(b=b"3"))
    with pytest.raises(InvalidParameter, match="invalid diffID for layer"):
        await store.load(data)
    await asyncio.sleep(0.2)
    await store.snapshots.close()
    assert store.images.list(all=True) == []
    assert store.leftovers() == []


async def test_lengths_must_agree(store: Store) -> None:
    layer = layer_tar(a=b"1")
    with pytest.raises(InvalidParameter, match="length mismatch: expected 2, got 1"):
        await store.load(docker_archive(("x:1", config(layer), [layer, layer])))
    with pytest.raises(InvalidParameter, match="cannot load windows image on linux"):
        await store.load(docker_archive(("x:1", config(layer, os="windows"), [layer])))
    assert store.leftovers() == []


async def test_a_client_that_goes_away_leaves_nothing(store: Store) -> None:
    layer = layer_tar(a=os.urandom(1_000_000))
    data = docker_archive(("x:1", config(layer), [layer]))

    async def broken() -> AsyncIterator[bytes]:
        yield data[:500_000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        async for _ in store.images.load(broken()):
            pass
    stream = store.images.load(chunked(data))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.2)
    await store.snapshots.close()
    assert os.listdir(store.paths.tmp) == []


LOADER = """
import asyncio, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from integration.test_images import Store, chunked

async def main():
    store = Store(Path(sys.argv[1]))
    async for message in store.images.load(chunked(Path(sys.argv[2]).read_bytes())):
        print(message, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("delay_s", [0.05, 0.15, 0.3, 0.5, 0.8])
async def test_kill_9_in_the_middle_of_a_load_leaves_nothing(
    tmp_path: Path, delay_s: float
) -> None:
    layers = [layer_tar(**{f"f{n}": os.urandom(2000) for n in range(800)}) for _ in range(4)]
    archive = tmp_path / "archive.tar"
    archive.write_bytes(docker_archive(("x:1", config(*layers), layers)))
    child = subprocess.Popen(
        [sys.executable, "-c", LOADER, tmp_path, archive, str(Path(__file__).parents[1])],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    await asyncio.to_thread(child.stdout.readline)
    await asyncio.sleep(delay_s)
    child.send_signal(signal.SIGKILL)
    child.wait()
    whole = b"Loaded image" in child.stdout.read()
    child.stdout.close()
    store = Store(tmp_path)
    await store.snapshots.recover(set())
    await store.images.recover()
    await store.snapshots.close()
    seen = store.images.list(all=True)
    assert len(seen) == (1 if whole else len(seen))
    if seen:
        assert len(store.snapshots.layers()) == 4
    else:
        assert store.leftovers() == []
    store.db.close()


# At the same time


async def test_equal_loads_at_the_same_time(store: Store) -> None:
    layers = [layer_tar(**{f"f{n}": os.urandom(500) for n in range(200)}) for _ in range(3)]
    data = docker_archive(("x:1", config(*layers), layers))
    results = await asyncio.gather(*(store.load(data) for _ in range(4)))
    assert results == [["Loaded image: x:1"]] * 4
    assert len(store.images.list(all=True)) == 1
    assert len(store.snapshots.layers()) == 3
    await store.snapshots.close()
    assert len(store.leftovers()) == 4  # three layers and the config


async def test_loads_and_removals_at_the_same_time(store: Store) -> None:
    """Layers shared with an image that goes are never pulled from under one that comes."""
    base = layer_tar(**{f"f{n}": os.urandom(500) for n in range(300)})

    async def cycle(index: int) -> None:
        top = layer_tar(top=b"%d" % index)
        data = docker_archive((f"x:{index}", config(base, top), [base, top]))
        for _ in range(4):
            assert await store.load(data) == [f"Loaded image: x:{index}"]
            await store.images.remove(f"x:{index}")

    await asyncio.gather(*(cycle(index) for index in range(4)))
    await asyncio.sleep(0.1)
    await store.snapshots.close()
    assert store.images.list(all=True) == []
    assert store.leftovers() == []


async def test_the_loop_stays_free_while_a_large_image_loads(store: Store) -> None:
    layer = layer_tar(**{f"f{n}": os.urandom(100_000) for n in range(300)})
    data = docker_archive(("x:1", config(layer), [layer]))
    loading = asyncio.ensure_future(store.load(data))
    worst = 0.0
    while not loading.done():
        started = time.monotonic()
        await asyncio.sleep(0.001)
        store.images.list()
        worst = max(worst, time.monotonic() - started)
    assert await loading == ["Loaded image: x:1"]
    assert worst < 0.5, f"the event loop was held for {worst:.3f} s"


# Import and commit


async def test_import_of_hostile_and_of_plain_trees(store: Store) -> None:
    image_id = await store.images.import_image(
        chunked(layer_tar(**{"bin/x": b"1"})), repo="i", changes=["CMD x"]
    )
    assert store.images.resolve("i:latest").id == image_id
    with pytest.raises(InvalidParameter, match="outside of the root"):
        await store.images.import_image(chunked(layer_tar(**{"../x": b"1"})), repo="j")
    with pytest.raises(InvalidParameter, match="unexpected end"):
        await store.images.import_image(chunked(layer_tar(x=b"1" * 5000)[:2000]), repo="j")
    assert [item["RepoTags"] for item in store.images.list()] == [["i:latest"]]


async def test_a_commit_holds_what_changed(store: Store, other: Store, tmp_path: Path) -> None:
    await store.busybox()
    parent = store.images.resolve("busybox")
    await store.snapshots.prepare("key", parent.chain_id)
    root = tmp_path / "rootfs"
    root.mkdir()
    store.snapshots.mount("key", root)
    (root / "new").write_text("new")
    (root / "bin/vi").unlink()
    image_id = await store.images.commit(
        snapshot_key="key", parent=parent, config=RunConfig(), repo="made", changes=["ENV a=b"]
    )
    store.snapshots.unmount(root)
    await other.load(await store.save("made"))
    image = other.images.resolve("made")
    assert image.id == image_id
    other.snapshots.mount_readonly(image.chain_id, root)
    try:
        assert (root / "new").read_text() == "new"
        assert not (root / "bin/vi").exists() and (root / "bin/sh").exists()
    finally:
        other.snapshots.unmount(root)


# Other engines


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short name: these engines have sockets below theirs."""
    path = Path(tempfile.mkdtemp(prefix="pt-", dir="/tmp"))
    yield path
    mounts.unmount_below(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.skipif(not shutil.which("podman"), reason="needs podman")
async def test_podman_loads_ours_and_we_load_podmans(
    store: Store, other: Store, short: Path
) -> None:
    await store.busybox()
    (short / "ours.tar").write_bytes(await store.save("busybox"))
    podman = ["podman", "--root", short / "root", "--runroot", short / "run"]
    podman += ["--storage-driver", "vfs"]
    run([*podman, "load", "-i", short / "ours.tar"])
    for fmt in ("docker-archive", "oci-archive"):
        saved = short / f"{fmt}.tar"
        run([*podman, "save", "--format", fmt, "-o", saved, "docker.io/library/busybox"])
        assert await other.load(saved.read_bytes()) == ["Loaded image: busybox:latest"]
        assert other.images.resolve("busybox").chains == store.images.resolve("busybox").chains
        await other.images.remove("busybox")


@pytest.mark.skipif(not shutil.which("skopeo"), reason="needs skopeo")
async def test_skopeo_reads_ours(store: Store, tmp_path: Path) -> None:
    await store.busybox()
    (tmp_path / "ours.tar").write_bytes(await store.save("busybox"))
    for source in ("docker-archive:", "oci-archive:"):
        out = run(["skopeo", "inspect", "--config", f"{source}{tmp_path}/ours.tar"])
        assert json.loads(out)["config"]["Cmd"] == ["sh"]


def run(command: list[Any]) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def docker(short: Path) -> Iterator[list[str]]:
    """A private dockerd; the command line of its client."""
    if not shutil.which("dockerd") or not shutil.which("docker"):
        pytest.skip("needs dockerd")
    socket = short / "docker.sock"
    options = {
        "data-root": short / "data",
        "exec-root": short / "exec",
        "pidfile": short / "pid",
        "host": f"unix://{socket}",
        "bridge": "none",
        "iptables": "false",
        "ip6tables": "false",
    }
    daemon = subprocess.Popen(
        ["dockerd", *(f"--{name}={value}" for name, value in options.items())],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    client = ["docker", "-H", f"unix://{socket}"]
    try:
        deadline = time.monotonic() + 60
        while subprocess.run([*client, "info"], capture_output=True).returncode != 0:
            assert daemon.poll() is None and time.monotonic() < deadline, "dockerd did not start"
            time.sleep(0.3)
        yield client
    finally:
        daemon.terminate()
        daemon.wait(60)


@pytest.mark.slow
async def test_docker_loads_ours_and_we_load_dockers(
    store: Store, other: Store, docker: list[str], tmp_path: Path
) -> None:
    image_id = await store.busybox()
    (tmp_path / "ours.tar").write_bytes(await store.save("busybox"))
    assert run([*docker, "load", "-i", tmp_path / "ours.tar"]) == "Loaded image: busybox:latest\n"
    assert run([*docker, "images", "-q", "--no-trunc"]).strip() == image_id
    size = run([*docker, "inspect", "-f", "{{.Size}}", "busybox"]).strip()
    assert int(size) == store.images.resolve("busybox").size_bytes
    run([*docker, "create", "--name", "c1", "busybox"])
    run([*docker, "commit", "-m", "by docker", "c1", "theirs:1"])
    run([*docker, "save", "-o", tmp_path / "theirs.tar", "busybox", "theirs:1"])
    loaded = await other.load((tmp_path / "theirs.tar").read_bytes())
    # In the order of the archive, which dockerd leaves to chance.
    assert sorted(loaded) == ["Loaded image: busybox:latest", "Loaded image: theirs:1"]
    assert other.images.resolve("busybox").id == image_id
