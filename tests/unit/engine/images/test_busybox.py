from __future__ import annotations

import io
import tarfile

from pierhead.engine.images.busybox import Binary, build_tar

BINARY = Binary(b"\x7fELF", 1_600_000_000, "1:1", ["[", "ash", "busybox", "env", "sh"])


def test_the_root_file_system() -> None:
    data = build_tar(BINARY)
    assert data == build_tar(BINARY)
    archive = tarfile.open(fileobj=io.BytesIO(data))
    members = {member.name: member for member in archive}
    assert members["tmp"].mode == 0o1777
    assert members["root"].mode == 0o700
    assert members["bin/sh"].islnk() and members["bin/sh"].linkname == "bin/busybox"
    assert "bin/busybox" in members and members["bin/busybox"].isreg()
    assert {member.mtime for member in members.values()} == {1_600_000_000}
    passwd = archive.extractfile("etc/passwd")
    assert passwd is not None and passwd.read().startswith(b"root:x:0:0:root:/root:/bin/sh\n")
    assert members["etc/shadow"].mode == 0o600
