"""One file of a source, and the bytes that it is kept in between processes. No IO."""

from __future__ import annotations

import hashlib
import stat
from typing import Final

import msgspec

from pierhead.build.model import FileStat
from pierhead.errors import InvalidParameter

EMPTY: Final = hashlib.sha256().digest()
PATH_LIMIT: Final = 4096
"""Bytes of a path, as the kernel's PATH_MAX."""
NAME_LIMIT: Final = 255

_HIDDEN_XATTRS: Final = (b"trusted.overlay.", b"user.overlay.", b"system.")


class Entry(msgspec.Struct, array_like=True, gc=False):
    """A file, directory, link... ``path`` is relative, without "." or ".."; b"" is the root."""

    path: bytes
    mode: int
    """st_mode, type bits included."""
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    link: bytes = b""
    """A symlink's target."""
    digest: bytes = b""
    """sha256 of a regular file's content; b"" where it isn't known."""
    pack: int = -1
    """Which pack the content lies in; -1: none, the source is a mounted tree."""
    offset: int = 0
    inode: int = 0
    """Equal for the names of one file; 0: it has only this name."""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[bytes, bytes] = {}

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    def moved(self, path: bytes) -> Entry:
        """The same under another path."""
        return Entry(
            path, self.mode, self.uid, self.gid, self.size, self.mtime_ns, self.link,
            self.digest, self.pack, self.offset, self.inode, self.device, self.xattrs,
        )  # fmt: skip

    def stat(self, path: bytes) -> FileStat:
        """As the seams have it."""
        return FileStat(
            path=path,
            mode=self.mode,
            uid=self.uid,
            gid=self.gid,
            size=self.size,
            mtime_ns=self.mtime_ns,
            link=self.link,
            device=self.device,
            xattrs={name.decode("utf-8", "surrogateescape"): v for name, v in self.xattrs.items()},
        )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


def encode(entries: list[Entry]) -> bytes:
    return _encoder.encode(entries)


def decode(data: bytes) -> list[Entry]:
    """Raises ``msgspec.DecodeError`` for what ``encode`` never wrote."""
    return _decoder.decode(data)


def clean(name: bytes, what: str = "context") -> bytes:
    """A member's name as a path of an ``Entry``.

    ``InvalidParameter`` for one that leads out of the tree, or is too long.
    """
    if (
        0 < len(name) <= NAME_LIMIT
        and name[0] not in b"./"
        and name[-1] != 0x2F
        and b"/." not in name
        and b"//" not in name
        and b"\0" not in name
    ):
        return name  # nearly all of them
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise InvalidParameter(f"invalid {what}: {shown(name)} leads out of it")
            parts.pop()
        elif part and part != b".":
            if len(part) > NAME_LIMIT:
                raise InvalidParameter(f"invalid {what}: the name {shown(part)} is too long")
            parts.append(part)
    path = b"/".join(parts)
    if len(path) > PATH_LIMIT or b"\0" in path:
        raise InvalidParameter(f"invalid {what}: the path {shown(path)} is too long or holds NUL")
    return path


def shown(path: bytes) -> str:
    """For messages: shortened, quoted."""
    text = path.decode("utf-8", "replace")
    return repr(text if len(text) <= 200 else f"{text[:100]}…{text[-80:]}")


def content_xattrs(xattrs: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Those that belong to the content, and not to the file system it lay on."""
    return {name: value for name, value in xattrs.items() if not name.startswith(_HIDDEN_XATTRS)}
