"""Sparse files as chunk maps: pieces are pointed at where they stand in the tar, if they can.

A chunk that lies wholly in one piece at a block's start is pointed at; a chunk without
content is a hole; any other chunk is put together behind the tar (mostly of holes again).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pierhead.store.erofs.format import BLOCK, NULL_BLOCK

_SMALLEST_BITS: Final = 12
_CHUNKS: Final = 256
_CHUNKS_GENEROUS: Final = 16384
_CHUNKS_A_PIECE: Final = 16


class Piece(NamedTuple):
    """Content to copy into a chunk that can't be pointed at."""

    entry: int
    """The chunk's entry in the map: its number, later its position in ``Tree.odd``."""
    bits: int
    """The chunk has ``1 << bits`` bytes."""
    within: int
    """Offset in the chunk."""
    source: int
    """Offset in the image file."""
    length: int


def chunk_bits(size: int, pieces: int, *, generous: bool) -> int:
    """The size of a file's chunks, as a power of two: small, but not too many of them.

    Smaller chunks mean less to copy and a truer picture of the holes. ``generous`` lets the
    map be larger than the tar's own description of the file.
    """
    limit = (_CHUNKS_GENEROUS if generous else _CHUNKS) + _CHUNKS_A_PIECE * pieces
    bits = _SMALLEST_BITS
    while size + (1 << bits) - 1 >> bits > limit:
        bits += 1
    return bits


def chunk_map(
    pieces: list[tuple[int, int]], size: int, bits: int, source: int
) -> tuple[bytes, list[Piece]]:
    """The map (4 bytes a chunk), and the content to copy into chunks that it leaves as holes.

    ``pieces``: offset and length in the file, in order; their bytes follow one another from
    ``source`` of the image file on.
    """
    chunk = 1 << bits
    chunks = bytearray(struct.pack("<I", NULL_BLOCK)) * (size + chunk - 1 >> bits)
    copies: list[Piece] = []
    for offset, length in pieces:
        end = offset + length
        first, last = offset >> bits, end - 1 >> bits
        whole = first + (offset & chunk - 1 != 0)
        # A chunk at the file's end counts as whole without being full.
        after = last + 1 if end == size or end & chunk - 1 == 0 else last
        shift = source - offset
        if whole < after and (shift + (whole << bits)) % BLOCK == 0:
            start = shift + (whole << bits) >> 9
            step = chunk >> 9
            chunks[4 * whole : 4 * after] = struct.pack(
                f"<{after - whole}I", *range(start, start + step * (after - whole), step)
            )
        else:
            whole = after = last + 1
        for number in (*range(first, min(whole, last + 1)), *range(after, last + 1)):
            low = max(offset, number << bits)
            high = min(end, number + 1 << bits)
            copies.append(Piece(number, bits, low & chunk - 1, shift + low, high - low))
        source += length
    return bytes(chunks), copies
