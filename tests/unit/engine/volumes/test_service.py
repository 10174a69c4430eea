"""The service on real directories: no mounts, no root needed but for owners."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pierhead.engine.config import ContainerConfig, HostConfig, Mount
from pierhead.engine.containers.model import ContainerRecord, MountRecord
from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.settings import Settings
from pierhead.engine.volumes.service import VolumeService
from pierhead.errors import Conflict, InvalidParameter, NotFound, PierError
from pierhead.store.database import Database
from pierhead.store.paths import Paths


class Place:
    """A data root and the services on it."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "data", root / "exec")
        self.paths.create()
        self.db = Database.open(self.paths.database)
        self.told: list[tuple[str, str]] = []
        self.volumes = self.restart()

    def restart(self) -> VolumeService:
        events = EventBus(self.db)
        emit = events.emit

        def note(type_: str, action: str, actor: str, *args: Any, **more: Any) -> None:
            self.told.append((action, actor))
            emit(type_, action, actor, *args, **more)

        events.emit = note  # type: ignore[method-assign, assignment]
        self.volumes = VolumeService(
            db=self.db, paths=self.paths, settings=Settings(), events=events
        )
        return self.volumes

    async def plan(self, container: str, **host: Any) -> list[MountRecord]:
        volumes = host.pop("volumes", ())
        config = ContainerConfig(volumes={path: {} for path in volumes})
        return await self.volumes.plan(container, config, HostConfig(**host), (), _nobody)


def _nobody(ref: str) -> list[MountRecord]:
    raise NotFound(f"No such container: {ref}")


def record(id_: str, mounts: list[MountRecord]) -> ContainerRecord:
    return ContainerRecord(
        id=id_,
        name=id_,
        created_ns=1,
        image_id="",
        image_ref="",
        chain_id=None,
        path="",
        args=[],
        config=ContainerConfig(),
        host_config=HostConfig(),
        networks={},
        mounts=mounts,
    )


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_create_is_idempotent(place: Place) -> None:
    first = await place.volumes.create("data", labels={"a": "b"})
    again = await place.volumes.create("data", labels={"c": "d"})
    assert first == again == place.volumes.inspect("data")
    assert Path(first["Mountpoint"]).is_dir()
    assert first["Labels"] == {"a": "b"} and first["Options"] is None
    assert place.told == [("create", "data")]


@pytest.mark.parametrize(
    ("name", "driver", "opts"),
    [("a", "", {}), ("../x", "", {}), ("ok1", "odd", {}), ("ok2", "", {"x": "1"})],
)
async def test_what_can_not_be_leaves_nothing(
    place: Place, name: str, driver: str, opts: dict[str, str]
) -> None:
    with pytest.raises(PierError):
        await place.volumes.create(name, driver, opts)
    assert place.volumes.list() == [] and list(place.paths.volumes.iterdir()) == []


async def test_without_a_name(place: Place) -> None:
    got = await place.volumes.create(None)
    assert len(got["Name"]) == 64 and "com.docker.volume.anonymous" in got["Labels"]


async def test_filters(place: Place) -> None:
    await place.volumes.create("one", labels={"a": "b"})
    await place.plan("c1", binds=["two:/v"])

    def names(**filters: str) -> list[str]:
        parsed = Filters({key: [value] for key, value in filters.items()})
        return [one["Name"] for one in place.volumes.list(parsed)]

    assert names() == ["one", "two"]
    assert names(dangling="true") == ["one"] and names(dangling="0") == ["two"]
    assert names(label="a=b") == ["one"] and names(name="tw") == ["two"]
    assert names(driver="local") == ["one", "two"]
    with pytest.raises(InvalidParameter, match="invalid filter 'odd'"):
        names(odd="1")


async def test_in_use(place: Place) -> None:
    mounts = await place.plan("c1", binds=["data:/v"])
    with pytest.raises(Conflict, match=r"remove data: volume is in use - \[c1\]"):
        await place.volumes.remove("data", force=True)
    await place.volumes.release("c1", mounts, remove_anonymous=True)
    await place.volumes.remove("data")
    assert not (place.paths.volumes / "data").exists()
    with pytest.raises(NotFound, match="get data: no such volume"):
        await place.volumes.remove("data")
    await place.volumes.remove("data", force=True)


async def test_anonymous_ones_go_with_their_container(place: Place) -> None:
    mounts = await place.plan("c1", volumes=["/a"], binds=["named:/n"])
    assert mounts[0].point.source.endswith("/_data")
    await place.volumes.release("c1", mounts, remove_anonymous=True)
    assert [one["Name"] for one in place.volumes.list()] == ["named"]


async def test_or_stay_when_not_told(place: Place) -> None:
    mounts = await place.plan("c1", volumes=["/a"])
    await place.volumes.release("c1", mounts, remove_anonymous=False)
    place.restart()
    await place.volumes.recover([], [])
    assert len(place.volumes.list()) == 1


async def test_a_failing_plan_undoes_itself(place: Place) -> None:
    mounts = [Mount(type="volume", source="ab", target="/t", volume_options=None)]
    with pytest.raises(InvalidParameter, match="plugin"):
        await place.plan("c1", volumes=["/a"], mounts=mounts, volume_driver="odd")
    assert place.volumes.list(Filters({"dangling": ["false"]})) == []
    with pytest.raises(InvalidParameter, match="bind source path does not exist: /no/where"):
        await place.plan("c1", mounts=[Mount(type="bind", source="/no/where", target="/t")])


@pytest.mark.root
async def test_prune(place: Place) -> None:
    await place.volumes.create("named")
    await place.volumes.create(None)
    used = await place.plan("c1", volumes=["/a"])
    (place.paths.volumes / "named" / "_data" / "file").write_bytes(b"x" * 1000)
    removed, freed = await place.volumes.prune()
    assert len(removed) == 1 and freed == 0
    removed, freed = await place.volumes.prune(Filters({"all": ["true"]}))
    assert (removed, freed) == (["named"], 1000)
    assert [one["Name"] for one in place.volumes.list()] == [used[0].point.name]


@pytest.mark.root
async def test_usage(place: Place) -> None:
    await place.plan("c1", binds=["data:/v"])
    (place.paths.volumes / "data" / "_data" / "file").write_bytes(b"x" * 10)
    (got,) = await place.volumes.usage()
    assert got["UsageData"] == {"Size": 10, "RefCount": 1}


async def test_recovery_knows_users_and_drops_half_made_ones(place: Place) -> None:
    kept = await place.plan("kept", volumes=["/a"], binds=["named:/n"])
    await place.plan("half", volumes=["/a"])
    place.restart()
    await place.volumes.recover([record("kept", kept)], ["kept"])
    names = [one["Name"] for one in place.volumes.list()]
    assert sorted(names) == sorted([kept[0].point.name, "named"])
    with pytest.raises(Conflict):
        await place.volumes.remove("named")


async def test_mounts_for_the_runtime(place: Place, tmp_path: Path) -> None:
    made = tmp_path / "made"
    mounts = await place.plan(
        "c1", binds=["data:/v", f"{made}:/b/x:ro"], mounts=[Mount(type="tmpfs", target="/t")]
    )
    got = place.volumes.oci_mounts("c1", mounts)
    assert made.is_dir(), "-v makes the source"
    assert [(one["destination"], one["type"]) for one in got] == [
        ("/t", "tmpfs"),
        ("/v", "bind"),
        ("/b/x", "bind"),
    ]
    assert ("mount", "data") in place.told
    await place.volumes.stopped("c1", mounts)
    await place.volumes.stopped("c1", mounts)
    assert place.told.count(("unmount", "data")) == 1


async def test_a_source_that_can_not_be_made(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mounts = await place.plan("c1", binds=[f"{tmp_path}/file/sub:/b"])
    with pytest.raises(InvalidParameter, match="error while creating mount source path"):
        place.volumes.oci_mounts("c1", mounts)


async def test_a_subpath_stays_inside(place: Place) -> None:
    from pierhead.engine.config import VolumeOptions

    await place.volumes.create("data")
    inside = place.paths.volumes / "data" / "_data"
    (inside / "sub").mkdir()
    (inside / "out").symlink_to("/etc")

    async def source(subpath: str) -> str:
        asked = Mount(
            type="volume",
            source="data",
            target="/t",
            volume_options=VolumeOptions(subpath=subpath),
        )
        mounts = await place.plan(subpath, mounts=[asked])
        got: str = place.volumes.oci_mounts(subpath, mounts)[0]["source"]
        return got

    assert await source("sub") == str(inside / "sub")
    with pytest.raises(InvalidParameter, match="cannot access path"):
        await source("out")
    with pytest.raises(InvalidParameter, match="cannot access path"):
        await source("missing")


async def test_the_view_of_a_stopped_container(place: Place, tmp_path: Path) -> None:
    mounts = await place.plan("c1", binds=["data:/v", f"{tmp_path}:/b:ro", "/gone/x:/g"])
    got = place.volumes.view(mounts)
    assert [(one["target"], one["read_only"], one["recursive"]) for one in got] == [
        ("/b", True, True),
        ("/v", False, False),
    ]


@pytest.mark.root
async def test_copy_up(place: Place, tmp_path: Path) -> None:
    rootfs = tmp_path / "rootfs"
    (rootfs / "data" / "sub").mkdir(parents=True)
    (rootfs / "data" / "sub" / "file").write_text("seed")
    (rootfs / "data").chmod(0o750)
    mounts = await place.plan("c1", binds=["data:/data"])
    assert place.volumes.needs_populate(mounts)
    await place.volumes.populate(mounts, rootfs)
    inside = place.paths.volumes / "data" / "_data"
    assert (inside / "sub" / "file").read_text() == "seed"
    assert inside.stat().st_mode & 0o777 == 0o750
    assert not place.volumes.needs_populate(mounts), "it isn't empty any more"
    assert not place.volumes.needs_mount(mounts)
    await asyncio.sleep(0)
