"""A busybox image from Debian's ``busybox-static``, without any registry.

The binary is the installed one if it is unchanged from its package (dpkg's md5sums), else
it comes out of the .deb that apt downloads and checks against the signed archive. Equal
binaries give equal images: times are the package's own.
"""

from __future__ import annotations

import hashlib
import os
import platform as host
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pierhead.engine.images import apt
from pierhead.engine.images.clock import format_rfc3339
from pierhead.engine.images.importing import apply_stream, record
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import Unavailable
from pierhead.linux import process
from pierhead.oci import platform, tar
from pierhead.oci.image_config import History, ImageConfig, RunConfig
from pierhead.oci.reference import Reference
from pierhead.oci.tar import Header
from pierhead.store.snapshots import Snapshotter

PACKAGE: Final = "busybox-static"
PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INFO: Final = Path("/var/lib/dpkg/info")
_NEWER_NAMES: Final = ("usr/bin/busybox", "bin/busybox")

_DIRECTORIES: Final = (
    ("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("etc/network", 0o755), ("home", 0o755),
    ("lib", 0o755), ("proc", 0o555), ("root", 0o700), ("run", 0o755), ("sys", 0o555),
    ("tmp", 0o1777), ("usr", 0o755), ("usr/bin", 0o755), ("usr/sbin", 0o755), ("var", 0o755),
    ("var/spool", 0o755), ("var/spool/mail", 0o755), ("var/www", 0o755),
)  # fmt: skip
_USERS: Final = (
    ("root", 0, 0, "/root", "/bin/sh"), ("daemon", 1, 1, "/usr/sbin", "/bin/false"),
    ("bin", 2, 2, "/bin", "/bin/false"), ("sys", 3, 3, "/dev", "/bin/false"),
    ("sync", 4, 100, "/bin", "/bin/sync"), ("mail", 8, 8, "/var/spool/mail", "/bin/false"),
    ("www-data", 33, 33, "/var/www", "/bin/false"), ("operator", 37, 37, "/var", "/bin/false"),
    ("nobody", 65534, 65534, "/home", "/bin/false"),
)  # fmt: skip
_GROUPS: Final = (
    ("root", 0), ("daemon", 1), ("bin", 2), ("sys", 3), ("adm", 4), ("tty", 5), ("disk", 6),
    ("lp", 7), ("mail", 8), ("kmem", 9), ("wheel", 10), ("cdrom", 11), ("dialout", 18),
    ("floppy", 19), ("video", 28), ("audio", 29), ("tape", 32), ("www-data", 33),
    ("operator", 37), ("utmp", 43), ("plugdev", 46), ("staff", 50), ("lock", 54),
    ("netdev", 82), ("users", 100), ("nobody", 65534),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Binary:
    """busybox itself and where it is from."""

    content: bytes
    mtime_s: int
    version: str
    applets: list[str]


async def bootstrap(
    index: ImageIndex, snapshots: Snapshotter, ref: Reference
) -> AsyncIterator[dict[str, Any] | Image]:
    """Progress messages, then the image."""
    found = await _installed()
    if found is not None:
        yield {"status": f"Using the installed package {PACKAGE} {found.version}"}
    else:
        yield {"status": f"Downloading {PACKAGE}"}
        found = await _downloaded()
        yield {"status": f"Verified {PACKAGE} {found.version}"}
    layer = await apply_stream(snapshots, _once(build_tar(found)))
    target = platform.of_machine(host.machine())
    created = format_rfc3339(found.mtime_s * 1_000_000_000)
    yield record(
        index,
        layer,
        ImageConfig(
            architecture=target.architecture,
            variant=target.variant,
            os="linux",
            created=created,
            config=RunConfig(env=[PATH], cmd=["sh"]),
            history=[
                History(
                    created=created, created_by=f"pier image bootstrap: {PACKAGE} {found.version}"
                )
            ],
        ),
        ref,
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _installed() -> Binary | None:
    """The installed binary, if dpkg knows it and it is what dpkg installed."""
    try:
        sums = (_INFO / f"{PACKAGE}.md5sums").read_text()
    except OSError:
        return None
    for line in sums.splitlines():
        digest, _, name = line.partition("  ")
        if name not in _NEWER_NAMES:
            continue
        path = Path("/") / name
        try:
            content = path.read_bytes()
            mtime_s = int(path.stat().st_mtime)
        except OSError:
            return None
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != digest:
            return None
        done = await process.run(
            ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}\t${Version}", PACKAGE]
        )
        status, _, version = done.stdout.decode().partition("\t")
        if done.returncode != 0 or not status.startswith("ii"):
            return None
        return Binary(content, mtime_s, version, await _applets(path))
    return None


async def _downloaded() -> Binary:
    with tempfile.TemporaryDirectory(prefix="pierhead-busybox-") as name:
        directory = Path(name)
        deb = await apt.download(PACKAGE, directory)
        version = await apt.deb_field(deb, "Version")
        await apt.unpack_deb(deb, directory / "root")
        for candidate in _NEWER_NAMES:
            path = directory / "root" / candidate
            if path.is_file() and not path.is_symlink():
                return Binary(
                    path.read_bytes(), int(path.stat().st_mtime), version, await _applets(path)
                )
    raise Unavailable(f"the package {PACKAGE} {version} holds no busybox")


async def _applets(path: Path) -> list[str]:
    done = await process.run([os.fspath(path), "--list"], timeout_s=10)
    names = sorted(set(done.stdout.decode().split()))
    if done.returncode != 0 or "sh" not in names:
        raise Unavailable(f"{path} --list does not name its applets: is it for this machine?")
    return names


def build_tar(binary: Binary) -> bytes:
    """The root file system: every applet a hard link to ``bin/busybox``."""
    mtime_ns = binary.mtime_s * 1_000_000_000
    out: list[bytes] = []

    def add(name: str, kind: bytes, mode: int, *, link: str = "", data: bytes = b"") -> None:
        header = Header(
            name.encode(), kind, mode, size=len(data), mtime_ns=mtime_ns, linkname=link.encode()
        )
        out.append(tar.build_header(header) + data + bytes(tar.padding(len(data))))

    for name, mode in _DIRECTORIES:
        add(name, tar.DIRECTORY, mode)
    add("bin/busybox", tar.REGULAR, 0o755, data=binary.content)
    for applet in binary.applets:
        if applet != "busybox":
            add(f"bin/{applet}", tar.HARDLINK, 0o755, link="bin/busybox")
    add("usr/bin/env", tar.SYMLINK, 0o777, link="../../bin/env")
    passwd = "".join(
        f"{name}:x:{uid}:{gid}:{name}:{home}:{shell}\n" for name, uid, gid, home, shell in _USERS
    )
    files = {
        "etc/passwd": (0o644, passwd),
        "etc/group": (0o644, "".join(f"{name}:x:{gid}:\n" for name, gid in _GROUPS)),
        "etc/shadow": (0o600, "".join(f"{user[0]}:*:::::::\n" for user in _USERS)),
        "etc/nsswitch.conf": (
            0o644,
            "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n",
        ),
        "etc/profile": (0o644, "export PATH=" + PATH.partition("=")[2] + "\n"),
    }
    for name in sorted(files):
        mode, text = files[name]
        add(name, tar.REGULAR, mode, data=text.encode())
    return b"".join(out) + bytes(2 * tar.BLOCK)
