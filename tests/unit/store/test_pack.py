from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

from pierhead.store.pack import Packer


def pack(root: Path, out: Path) -> tarfile.TarFile:
    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    packer = Packer(fd, whiteouts=True)
    packer.tree(os.fsencode(root), b"")
    assert packer.close() == out.stat().st_size
    os.close(fd)
    return tarfile.open(fileobj=io.BytesIO(out.read_bytes()))


def test_members_are_sorted_and_links_kept(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "b/inner").mkdir(parents=True)
    (root / "b/inner/file").write_bytes(b"x" * 1000)
    os.link(root / "b/inner/file", root / "z")
    (root / "a").symlink_to("b")
    os.mkfifo(root / "fifo")
    archive = pack(root, tmp_path / "out")
    assert archive.getnames() == ["a", "b", "fifo", "z", "b/inner", "b/inner/file"]
    assert archive.getmember("b/inner/file").linkname == "z"
    assert archive.getmember("a").linkname == "b"
    file = archive.extractfile("z")
    assert file is not None and file.read() == b"x" * 1000


def test_sockets_are_left_out(tmp_path: Path) -> None:
    import socket

    root = tmp_path / "root"
    root.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "s"))
        assert pack(root, tmp_path / "out").getnames() == []


def test_big_files_are_whole_and_no_time_is_later_than_asked(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    data = os.urandom(300_001)
    (root / "big").write_bytes(data)
    (root / "old").touch()
    os.utime(root / "old", (5, 5))
    out, inner = tmp_path / "out", tmp_path / "pipe"
    os.mkfifo(inner)
    for target in (out, inner):  # the kernel sends to files and pipes in different ways
        if target is inner:
            reader = subprocess.Popen(["cat", inner], stdout=open(out, "wb"))
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        packer = Packer(fd, whiteouts=True, epoch_s=1000)
        packer.tree(os.fsencode(root), b"")
        length = packer.close()
        os.close(fd)
        if target is inner:
            reader.wait()
        assert length == out.stat().st_size
        archive = tarfile.open(out)
        assert {member.name: member.mtime for member in archive} == {"big": 1000, "old": 5}
        file = archive.extractfile("big")
        assert file is not None and file.read() == data
