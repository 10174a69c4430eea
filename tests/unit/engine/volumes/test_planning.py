from __future__ import annotations

from typing import Any

import pytest

from pierhead.engine.config import (
    ContainerConfig,
    DriverConfig,
    HostConfig,
    Mount,
    TmpfsOptions,
    VolumeOptions,
)
from pierhead.engine.containers.model import MountRecord
from pierhead.engine.volumes.planning import plan_mounts, tmpfs_options
from pierhead.errors import InvalidParameter, NotFound

OTHERS: dict[str, list[MountRecord]] = {}


def others(ref: str) -> list[MountRecord]:
    if ref not in OTHERS:
        raise NotFound(f"No such container: {ref}")
    return OTHERS[ref]


def plan(
    *, volumes: tuple[str, ...] = (), image: tuple[str, ...] = (), **host: Any
) -> list[MountRecord]:
    config = ContainerConfig(volumes={path: {} for path in volumes})
    return plan_mounts(config, HostConfig(**host), image, others)


def shown(records: list[MountRecord]) -> list[tuple[str, str, str]]:
    return [(one.point.type, one.point.name, one.point.destination) for one in records]


def test_a_bind_and_a_named_volume() -> None:
    bind, volume = plan(binds=["data:/v", "/src:/b:ro"])
    assert (bind.point.source, bind.point.rw, bind.point.mode) == ("/src", False, "ro")
    assert bind.point.propagation == "rprivate" and not bind.copy_up
    assert (volume.point.name, volume.point.mode, volume.point.driver) == ("data", "z", "local")
    assert volume.copy_up and not volume.anonymous and volume.point.propagation == ""


def test_anonymous_volumes_of_image_and_user() -> None:
    records = plan(volumes=("/a", "/b/"), image=("/b", "/c"))
    assert shown(records) == [("volume", "", path) for path in ("/a", "/b", "/c")]
    assert all(record.anonymous and record.copy_up for record in records)


def test_what_is_asked_covers_the_images_volumes() -> None:
    records = plan(image=("/a", "/b", "/c"), binds=["/s:/a/"], tmpfs={"/b": ""})
    assert shown(records) == [("bind", "", "/a"), ("volume", "", "/c")]


@pytest.mark.parametrize(
    "host",
    [
        {"binds": ["/x:/t", "/y:/t/"]},
        {"binds": ["/x:/t"], "mounts": [Mount(type="tmpfs", target="/t")]},
        {"binds": ["/x:/t"], "tmpfs": {"/t": ""}},
    ],
)
def test_twice_the_same_place(host: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match="Duplicate mount point: /t"):
        plan(**host)


def test_volumes_from() -> None:
    OTHERS["src"] = plan(
        binds=["data:/v", "/h:/h"], volumes=("/anon",), mounts=[Mount(type="tmpfs", target="/tmp")]
    )
    records = plan(volumes_from=["src:ro"], binds=["/mine:/h"])
    assert shown(records) == [("volume", "", "/anon"), ("bind", "", "/h"), ("volume", "data", "/v")]
    assert [record.point.rw for record in records] == [False, True, False]
    assert not records[0].anonymous, "it goes with the container that it was made for"
    assert not any(record.copy_up for record in records)
    assert OTHERS["src"][0].point.rw, "theirs is as it was"


def test_volumes_from_nobody_is_no_404() -> None:
    with pytest.raises(InvalidParameter, match="No such container: nobody"):
        plan(volumes_from=["nobody"])


def test_mounts_with_a_driver() -> None:
    options = VolumeOptions(driver_config=DriverConfig(name="odd"), no_copy=True)
    (record,) = plan(
        mounts=[Mount(type="volume", source="ab", target="/t", volume_options=options)]
    )
    assert record.point.driver == "odd" and not record.copy_up


def test_no_copy_into_a_subpath() -> None:
    options = VolumeOptions(subpath="x")
    (record,) = plan(
        mounts=[Mount(type="volume", source="ab", target="/t", volume_options=options)]
    )
    assert not record.copy_up


def test_tmpfs_options() -> None:
    plain = Mount(type="tmpfs", target="/t")
    assert tmpfs_options(plain) == ["noexec", "nosuid", "nodev"]
    full = Mount(
        type="tmpfs",
        target="/t",
        read_only=True,
        tmpfs_options=TmpfsOptions(size_bytes=1024, mode=0o1770, options=[["exec"], ["dev"]]),
    )
    assert tmpfs_options(full) == ["exec", "nosuid", "dev", "ro", "size=1024", "mode=1770"]
