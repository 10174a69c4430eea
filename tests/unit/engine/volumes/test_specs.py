from __future__ import annotations

import pytest

from pierhead.engine.config import (
    BindOptions,
    DriverConfig,
    Mount,
    TmpfsOptions,
    VolumeOptions,
)
from pierhead.engine.volumes.specs import (
    check_mount,
    check_volume_name,
    clean,
    mount_error,
    parse_bind,
    parse_volumes_from,
)
from pierhead.errors import InvalidParameter, NotImplementedYet


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [("/a//b/", "/a/b"), ("/a/./b/..", "/a"), ("//a", "/a"), ("/", "/"), ("/../a", "/a")],
)
def test_clean(path: str, cleaned: str) -> None:
    assert clean(path) == cleaned


def test_a_bind() -> None:
    bind = parse_bind("/src/:/dst:ro,z,rslave")
    assert (bind.mount.type, bind.mount.source, bind.mount.target) == ("bind", "/src", "/dst")
    assert bind.mount.read_only and bind.mode == "ro,z,rslave"
    assert bind.mount.bind_options == BindOptions(propagation="rslave", create_mountpoint=True)


def test_a_named_volume() -> None:
    bind = parse_bind("data:/dst:nocopy", "local")
    assert (bind.mount.type, bind.mount.source) == ("volume", "data")
    assert bind.mount.volume_options == VolumeOptions(
        no_copy=True, driver_config=DriverConfig(name="local")
    )


def test_an_anonymous_volume() -> None:
    bind = parse_bind("/dst")
    assert (bind.mount.type, bind.mount.source, bind.mount.target) == ("volume", "", "/dst")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid volume specification: ''"),
        (":/dst", "invalid volume specification: ':/dst'"),
        ("/a:/b:/c:/d", "invalid volume specification: '/a:/b:/c:/d'"),
        ("/dst:ro", "invalid volume specification: '/dst:ro'"),
        ("/a:/b:weird", "invalid mode: weird"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:/b:z,Z", "invalid mode: z,Z"),
        (
            "/a:b",
            "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
            "invalid mount path: 'b' mount path must be absolute",
        ),
        ("/a:/", "destination can't be '/'"),
        ("/a:/..", "destination can't be '/'"),
        ("a b:/c", "includes invalid characters for a local volume name"),
        ("x:/c", "volume name is too short"),
        ("vol:/c:rshared", "propagation is for host directories"),
    ],
)
def test_bad_binds(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_bind(text)
    assert message in caught.value.message


@pytest.mark.parametrize("name", ["ab", "a.b-c_d", "0" * 64])
def test_good_volume_names(name: str) -> None:
    check_volume_name(name)


@pytest.mark.parametrize("name", ["a", ".ab", "a/b", "..", "a b", "a\n", "é" * 3, "a" * 256])
def test_bad_volume_names(name: str) -> None:
    with pytest.raises(InvalidParameter):
        check_volume_name(name)


def mount(type_: str, **given: object) -> Mount:
    return Mount(**{"type": type_, "target": "/t", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (mount("npipe"), "mount type unknown"),
        (mount("bind", source="/s", target=""), "field Target must not be empty"),
        (mount("bind", source="/s", target="rel"), "mount path must be absolute"),
        (mount("bind"), "field Source must not be empty"),
        (mount("bind", source="rel"), "invalid mount path: 'rel' mount path must be absolute"),
        (mount("bind", source="/s", volume_options=VolumeOptions()), "field VolumeOptions"),
        (mount("bind", source="/s", tmpfs_options=TmpfsOptions()), "field TmpfsOptions"),
        (
            mount("bind", source="/s", bind_options=BindOptions(propagation="odd")),
            "invalid propagation mode: odd",
        ),
        (
            mount("bind", source="/s", bind_options=BindOptions(read_only_force_recursive=True)),
            "must be read-only",
        ),
        (mount("volume", bind_options=BindOptions()), "field BindOptions must not be specified"),
        (mount("volume", read_only=True), "must not set ReadOnly mode when using anonymous"),
        (mount("volume", source="a b"), "includes invalid characters"),
        (mount("volume", volume_options=VolumeOptions(subpath="x")), "must not set Subpath"),
        (
            mount("volume", source="ab", volume_options=VolumeOptions(subpath="../x")),
            "relative path within the volume",
        ),
        (mount("tmpfs", source="x"), "field Source must not be specified"),
        (mount("tmpfs", bind_options=BindOptions()), "field BindOptions"),
        (mount("tmpfs", tmpfs_options=TmpfsOptions(options=[["odd"]])), "invalid option: odd"),
        (mount("tmpfs", tmpfs_options=TmpfsOptions(options=[[]])), "invalid option array length"),
    ],
)
def test_bad_mounts(asked: Mount, problem: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_mount(asked)
    assert caught.value.message.startswith(f'invalid mount config for type "{asked.type}": ')
    assert problem in caught.value.message


def test_good_mounts() -> None:
    check_mount(mount("bind", source="/s"))
    check_mount(mount("volume", source="ab", volume_options=VolumeOptions(subpath="a/b")))
    check_mount(mount("tmpfs", tmpfs_options=TmpfsOptions(options=[["exec"], ["nosuid"]])))


def test_image_mounts_are_not_built() -> None:
    with pytest.raises(NotImplementedYet, match="cp"):
        check_mount(mount("image", source="busybox"))


def test_volumes_from() -> None:
    assert parse_volumes_from("c") == ("c", "rw")
    assert parse_volumes_from("c:ro,z") == ("c", "ro,z")
    for text in ("", ":ro", "c:odd", "c:nocopy", "c:rshared"):
        with pytest.raises(InvalidParameter):
            parse_volumes_from(text)


def test_the_prefix() -> None:
    assert mount_error("bind", "no").message == 'invalid mount config for type "bind": no'
