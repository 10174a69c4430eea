from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pierhead.linux import mounts
from pierhead.linux import syscalls as sc


def test_a_line_of_mountinfo() -> None:
    line = (
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
    )
    entry = mounts.parse_mountinfo(line)
    assert (entry.mount_id, entry.parent_id, entry.device) == (36, 35, "98:0")
    assert (entry.root, entry.target, entry.options) == ("/mnt1", "/mnt2", "rw,noatime")
    assert entry.propagation == "master:1 shared:2"
    assert (entry.fstype, entry.source) == ("ext3", "/dev/root")
    assert entry.super_options == "rw,errors=continue"


def test_escapes_in_paths_are_undone() -> None:
    line = r"1 1 0:1 / /a\040b\134c rw - tmpfs no\011ne rw"
    entry = mounts.parse_mountinfo(line)
    assert entry.target == "/a b\\c"
    assert entry.source == "no\tne"


def test_this_process_has_a_root() -> None:
    assert any(entry.target == "/" for entry in mounts.mountinfo())
    assert mounts.is_mountpoint("/proc")
    assert not mounts.is_mountpoint("/proc/self")
    assert not mounts.is_mountpoint("/does/not/exist")


def test_classic_overlay_options_escape_separators(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(sc, "mount", lambda *arguments: seen.append(arguments))
    mounts._mount_overlay_classic(
        Path("/t"), [Path("/a:b"), Path("/c,d")], Path("/u"), Path("/w"), False
    )
    assert (
        seen[0][4]
        == r"lowerdir=/a\:b:/c\,d,xino=auto,upperdir=/u,workdir=/w,redirect_dir=off,metacopy=off"
    )


def test_a_bind_that_can_t_be_finished_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    undone = []

    def mount(_source: object, _target: object, _type: object, flags: int, _data: str = "") -> None:
        if flags & sc.MS_REMOUNT:
            raise PermissionError(1, "no")

    monkeypatch.setattr(sc, "mount", mount)
    monkeypatch.setattr(sc, "umount2", lambda target, flags: undone.append((target, flags)))
    with pytest.raises(PermissionError):
        mounts.bind("/a", "/b", read_only=True)
    assert undone == [("/b", sc.MNT_DETACH)]


def test_many_classic_layers_go_by_descriptor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []
    monkeypatch.setattr(sc, "mount", lambda *arguments: seen.append(arguments))
    layers = [tmp_path / f"{'long' * 20}-{number}" for number in range(60)]
    for layer in layers:
        layer.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    mounts._mount_overlay_classic(Path("/t"), layers, Path("/u"), Path("/w"), False)
    options = seen[0][4]
    assert len(options) < 4096
    assert options.count("/proc/self/fd/") == 60
    assert options.endswith(",upperdir=/u,workdir=/w,redirect_dir=off,metacopy=off")
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_image_goes_straight_from_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(sc, "fsopen", lambda fstype: os.open("/dev/null", os.O_RDONLY))
    monkeypatch.setattr(sc, "fsconfig", lambda fd, *arguments: seen.append(arguments))
    monkeypatch.setattr(sc, "fsmount", lambda fd, attributes: 99)
    assert mounts.detached_image(Path("/l/layer"), loop=False) == 99
    assert seen == [
        (sc.FSCONFIG_SET_STRING, "source", Path("/l/layer")),
        (sc.FSCONFIG_SET_FLAG, "ro"),
        (sc.FSCONFIG_CMD_CREATE,),
    ]


def test_a_loop_device_is_given_up_once_mounted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "layer").touch()
    null = lambda *arguments: os.open("/dev/null", os.O_RDONLY)  # noqa: E731
    monkeypatch.setattr(sc, "fsopen", null)
    monkeypatch.setattr(mounts, "attach", lambda fd: (null(), "/dev/loop9"))

    def fail(fd: int, command: int, *arguments: object) -> None:
        if command == sc.FSCONFIG_CMD_CREATE:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(sc, "fsconfig", fail)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="layer"):
        mounts.detached_image(tmp_path / "layer", loop=True)
    assert len(os.listdir("/proc/self/fd")) == before
