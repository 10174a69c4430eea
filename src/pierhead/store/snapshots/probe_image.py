"""A tiny image in the form of our layers, to find out what the kernel takes."""

from __future__ import annotations

import stat
from typing import Final

from pierhead.store.erofs.format import (
    BLOCK,
    FT_DIR,
    FT_FILE,
    INLINE,
    INODE_HEAD,
    PLAIN,
    ROOT_NID,
    SLOT,
    SUPER_OFFSET,
    dirents,
    superblock,
)

NAME: Final = "probe"
CONTENT: Final = b"pierhead".ljust(BLOCK, b".")
_START: Final = 4096


def probe_image(number: int) -> bytes:
    """An image whose root holds the file ``NAME``; its uuid is made of ``number`` (not 0)."""
    root = INODE_HEAD.size
    entries = dirents(
        [b".", b"..", NAME.encode()], [ROOT_NID, ROOT_NID, 5], [FT_DIR, FT_DIR, FT_FILE]
    )
    index = bytearray(BLOCK)
    head = INODE_HEAD.pack(INLINE, 0, stat.S_IFDIR | 0o755, 0, len(entries), 0, 1, 0, 0, 0, 0, 2)
    index[SLOT * ROOT_NID : SLOT * ROOT_NID + root] = head
    index[SLOT * ROOT_NID + root : SLOT * ROOT_NID + root + len(entries)] = entries
    file = INODE_HEAD.pack(
        PLAIN, 0, stat.S_IFREG | 0o644, 0, BLOCK, _START // BLOCK, 2, 0, 0, 0, 0, 1
    )
    index[SLOT * 5 : SLOT * 5 + len(file)] = file
    image = bytearray(_START + 2 * BLOCK)
    head = superblock(
        inodes=2, blocks=len(image) // BLOCK, meta_block=_START // BLOCK + 1,
        uuid=number.to_bytes(16, "big"),
    )  # fmt: skip
    image[SUPER_OFFSET : SUPER_OFFSET + len(head)] = head
    image[_START : _START + BLOCK] = CONTENT
    image[_START + BLOCK :] = index
    return bytes(image)
