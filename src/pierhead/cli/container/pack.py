"""A tar archive of local files, made while it is sent; imported only by ``pier cp``."""

from __future__ import annotations

import os
import stat
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 1 << 18


def archive(
    directory: str, entry: str, rename: Callable[[str], str], *, rebase: str = ""
) -> Iterator[bytes]:
    """Tar blocks of ``directory/entry`` (``.``: the directory's content), names relative.

    ``rebase`` replaces the first part of every name, then ``rename`` is applied. Sockets
    are left out. Raises ``OSError``.
    """
    top = os.path.join(directory, entry)
    links: dict[tuple[int, int], str] = {}

    def named(path: str) -> str:
        relative = os.path.relpath(path, directory or ".") if entry != "." else None
        if relative is None:
            relative = os.path.relpath(path, directory or ".")
            relative = "." if relative == "." else f"./{relative}"
        if rebase:
            relative = rebase + relative[len(entry) :]
        return rename(relative)

    for path in _walk(top):
        info = os.lstat(path)
        if stat.S_ISSOCK(info.st_mode):
            continue
        name = named(path)
        member = member_of(path, name, info, links)
        yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if member.isreg() and member.size:
            yield from content_of(path, member.size)
    yield b"\0" * 1024


def _walk(top: str) -> Iterator[str]:
    yield top
    if os.path.isdir(top) and (not os.path.islink(top) or top.endswith(("/", "/."))):
        with os.scandir(top) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            path = os.path.join(top, name)
            if os.path.isdir(path) and not os.path.islink(path):
                yield from _walk(path)
            else:
                yield path


def member_of(
    path: str, name: str, info: os.stat_result, links: dict[tuple[int, int], str]
) -> tarfile.TarInfo:
    """The tar header of one file; ``links`` remembers inodes that have several names."""
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(info.st_mode)
    member.uid, member.gid = info.st_uid, info.st_gid
    member.mtime = int(info.st_mtime)
    extended: dict[str, str] = {}
    if info.st_mtime_ns % 1_000_000_000:
        extended["mtime"] = f"{info.st_mtime_ns // 10**9}.{info.st_mtime_ns % 10**9:09d}"
    kind = stat.S_IFMT(info.st_mode)
    if kind == stat.S_IFDIR:
        member.type = tarfile.DIRTYPE
        if not name.endswith("/"):
            member.name = name + "/"
    elif kind == stat.S_IFLNK:
        member.type = tarfile.SYMTYPE
        member.linkname = os.readlink(path)
    elif kind == stat.S_IFREG:
        key = (info.st_dev, info.st_ino)
        if info.st_nlink > 1 and key in links:
            member.type = tarfile.LNKTYPE
            member.linkname = links[key]
        else:
            links[key] = name
            member.size = info.st_size
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        member.type = tarfile.CHRTYPE if kind == stat.S_IFCHR else tarfile.BLKTYPE
        member.devmajor, member.devminor = os.major(info.st_rdev), os.minor(info.st_rdev)
    elif kind == stat.S_IFIFO:
        member.type = tarfile.FIFOTYPE
    if kind != stat.S_IFLNK:
        try:
            value = os.getxattr(path, "security.capability", follow_symlinks=False)
            extended["SCHILY.xattr.security.capability"] = value.decode("utf-8", "surrogateescape")
        except OSError:
            pass
    member.pax_headers = extended
    return member


def content_of(path: str, size: int) -> Iterator[bytes]:
    """Exactly ``size`` bytes and the padding, even if the file grows or shrinks meanwhile."""
    left = size
    with open(path, "rb", buffering=0) as file:
        while left:
            data = file.read(min(left, _CHUNK))
            if not data:
                break
            left -= len(data)
            yield data
    while left:
        part = min(left, _CHUNK)
        left -= part
        yield b"\0" * part
    if size % 512:
        yield b"\0" * (512 - size % 512)
