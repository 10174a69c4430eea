from __future__ import annotations

from pierhead.engine.config import BindOptions, Mount, MountPoint
from pierhead.engine.containers.model import MountRecord
from pierhead.engine.volumes.oci import oci_mount, parents_first


def bind(*, rw: bool = True, propagation: str = "rprivate", **options: bool) -> MountRecord:
    return MountRecord(
        point=MountPoint(type="bind", destination="/d", rw=rw, propagation=propagation),
        spec=Mount(type="bind", bind_options=BindOptions(**options)),  # type: ignore[arg-type]
    )


def options(record: MountRecord, recursive: bool = True) -> list[str]:
    got: list[str] = oci_mount(record, "/s", recursive_read_only=recursive)["options"]
    return got


def test_binds() -> None:
    assert oci_mount(bind(), "/s", recursive_read_only=True) == {
        "destination": "/d",
        "type": "bind",
        "source": "/s",
        "options": ["rbind", "rprivate"],
    }
    assert options(bind(propagation="rslave")) == ["rbind", "rslave"]
    assert options(bind(non_recursive=True)) == ["bind", "rprivate"]


def test_read_only_means_the_whole_tree_where_the_kernel_can() -> None:
    assert options(bind(rw=False)) == ["rbind", "rprivate", "ro", "rro"]
    assert options(bind(rw=False), recursive=False) == ["rbind", "rprivate", "ro"]
    assert "rro" not in options(bind(rw=False, non_recursive=True))
    assert "rro" not in options(bind(rw=False, read_only_non_recursive=True))


def test_volumes_are_private() -> None:
    point = MountPoint(type="volume", name="v", destination="/d")
    assert options(MountRecord(point=point)) == ["rbind", "rprivate"]


def test_tmpfs() -> None:
    point = MountPoint(type="tmpfs", destination="/t")
    got = oci_mount(MountRecord(point=point, options=["size=1"]), "", recursive_read_only=True)
    assert (got["type"], got["source"], got["options"]) == ("tmpfs", "tmpfs", ["size=1"])


def test_parents_first() -> None:
    mounts = [{"destination": path} for path in ("/a/b/c", "/b", "/a/b", "/a")]
    assert [one["destination"] for one in parents_first(mounts)] == ["/a", "/b", "/a/b", "/a/b/c"]
