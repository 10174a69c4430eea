"""The structures of an EROFS image that we write and read: numbers and packing, no IO.

Blocks are 512 bytes, so that a tar's content is block-aligned as it stands. All inodes are
extended ones (64 bytes): only they carry a time. Source: ``fs/erofs/erofs_fs.h`` of Linux.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from pierhead.errors import InvalidParameter

BLOCK: Final = 512
BLOCK_BITS: Final = 9
SLOT: Final = 32
"""Inodes stand at multiples of this; their number (nid) counts it from the index's start."""
INODE: Final = 64
DIRENT: Final = 12
NULL_BLOCK: Final = 0xFFFFFFFF
BLOCKS_LIMIT: Final = 0xFFFFFFFF
"""Block addresses have 32 bits: an image file can be 2 TiB long."""

SUPER_OFFSET: Final = 1024
SUPER: Final = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQ24x")
MAGIC: Final = 0xE0F5E1E2
COMPAT_MTIME: Final = 2
INCOMPAT_CHUNKED_FILE: Final = 4
ROOT_NID: Final = 1
"""16 bits in the superblock, and 0 stays unused: so the root comes first."""

# i_format: bit 0 the extended form, bits 1-3 where the data is.
PLAIN: Final = 1 | 0 << 1
"""Blocks in a row from ``i_u`` on."""
INLINE: Final = 1 | 2 << 1
"""Behind the inode (and its attributes), not across a block's end."""
CHUNKED: Final = 1 | 4 << 1
"""A block address per chunk behind the inode; ``i_u`` says how large chunks are."""

INODE_HEAD: Final = struct.Struct("<HHHHQIIIIqII16x")
"""i_format, i_xattr_icount, i_mode, 0, i_size, i_u, i_ino, i_uid, i_gid, i_mtime,
i_mtime_nsec, i_nlink."""
NLINK_OFFSET: Final = 44
START_OFFSET: Final = 16
"""Of ``i_u`` in the inode."""
DIRENT_HEAD: Final = struct.Struct("<QHBx")
"""nid, offset of the name in its block, file type."""
XATTR_HEAD: Final = 12
XATTR_ENTRY: Final = struct.Struct("<BBH")

# File types of directory entries.
FT_FILE: Final = 1
FT_DIR: Final = 2
FT_CHAR: Final = 3
FT_BLOCK: Final = 4
FT_FIFO: Final = 5
FT_SYMLINK: Final = 7

XATTR_PREFIXES: Final = (
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
)
_XATTR_BODY_LIMIT: Final = XATTR_HEAD + 4 * 0xFFFE

_MAX_DIRENTS: Final = BLOCK // DIRENT
_DIRENTS: Final = [struct.Struct("<" + "QHBx" * count) for count in range(_MAX_DIRENTS + 1)]


def superblock(
    *, inodes: int, blocks: int, meta_block: int, uuid: bytes, incompat: int = 0
) -> bytes:
    """The 128 bytes at ``SUPER_OFFSET``. ``blocks`` is the whole file's length in blocks."""
    return SUPER.pack(
        MAGIC, 0, COMPAT_MTIME, BLOCK_BITS, 0, ROOT_NID, inodes, 0, 0, min(blocks, BLOCKS_LIMIT),
        meta_block, 0, uuid, b"", incompat, 0, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip


def device_number(major: int, minor: int) -> int:
    """``i_u`` of a device (new_encode_dev of the kernel). ``ValueError`` beyond 12 and 20 bits."""
    if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):
        raise ValueError(f"no device can have the numbers {major}:{minor}")
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12


def xattr_body(xattrs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """What stands between an inode and its inline data; b"" for no attributes.

    ``i_xattr_icount`` is ``xattr_count`` of it. Names must begin with a known prefix.
    """
    parts = []
    for name, value in xattrs:
        index, suffix = split_xattr(name)
        entry = XATTR_ENTRY.pack(len(suffix), index, len(value)) + suffix + value
        parts.append(entry + bytes(-len(entry) % 4))
    if not parts:
        return b""
    body = bytes(XATTR_HEAD) + b"".join(parts)
    if len(body) > _XATTR_BODY_LIMIT:
        raise InvalidParameter(f"extended attributes of {len(body)} bytes are too much")
    return body


def xattr_count(body: bytes) -> int:
    """``i_xattr_icount``: 0 for none, else the body in units of 4, its head counting one."""
    return 1 + (len(body) - XATTR_HEAD) // 4 if body else 0


def xattr_bytes(count: int) -> int:
    """The length of the body that ``i_xattr_icount`` announces."""
    return XATTR_HEAD + 4 * (count - 1) if count else 0


def split_xattr(name: bytes) -> tuple[int, bytes]:
    """(prefix number, rest). ``KeyError`` for a namespace that EROFS doesn't have."""
    for index, prefix in XATTR_PREFIXES:
        if name.startswith(prefix):
            return index, name[len(prefix) :]
    raise KeyError(name)


def dirents(names: list[bytes], nids: list[int], types: list[int]) -> bytes:
    """One directory block, unpadded. The names are sorted bytewise and fit in."""
    count = len(names)
    offset = DIRENT * count
    flat: list[int] = []
    for name, nid, type_ in zip(names, nids, types, strict=True):
        flat += (nid, offset, type_)
        offset += len(name)
    return _DIRENTS[count].pack(*flat) + b"".join(names)
