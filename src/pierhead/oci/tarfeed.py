"""Reading a tar that is fed in chunks as they come, without IO and without copies.

For archives of few and large members (image archives). ``store/tarstream.py`` pulls from a
reader instead and knows sparse files, for layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.tar import BLOCK, Header

ENDED: Final = "unexpected end of the tar archive"
_SPARSE: Final = "invalid archive: it has sparse members; make it without --sparse"


class End:
    """The member's data is complete."""


END: Final = End()

Event = Header | memoryview | End


class TarFeed:
    """``feed`` chunks, get events: a ``Header``, pieces of its data, ``END``; and so on.

    Memory is bounded by the chunk and one extension header (``tar.EXTENSION_LIMIT``). Pieces
    are views of the chunk: take what you need before the next ``feed``. ``close`` at the end.
    """

    def __init__(self) -> None:
        self._held = bytearray()  # of a header block, or of an extension's body
        self._wanted = BLOCK
        self._data_left = 0
        self._skip = 0
        self._in_data = False
        self._extension: Header | None = None
        self._extensions = tar.Extensions()
        self._zeros = 0
        self._ended = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events in ``chunk``. Raises ``InvalidParameter`` for what is no tar."""
        view = memoryview(chunk)
        while view and not self._ended:
            if self._in_data:
                piece, view = view[: self._data_left], view[self._data_left :]
                self._data_left -= len(piece)
                if piece:
                    yield piece
                if not self._data_left:
                    self._in_data = False
                    yield END
            elif self._skip:
                step = min(self._skip, len(view))
                self._skip -= step
                view = view[step:]
            else:
                step = min(self._wanted - len(self._held), len(view))
                self._held += view[:step]
                view = view[step:]
                if len(self._held) == self._wanted:
                    block = bytes(self._held)
                    self._held.clear()
                    yield from self._whole(block)

    def close(self) -> None:
        """No more chunks: raises ``InvalidParameter`` if the archive isn't complete."""
        if (
            self._in_data
            or self._held
            or self._extensions.begun
            or (self._skip and not self._ended)
        ):
            raise InvalidParameter(ENDED)

    def _whole(self, block: bytes) -> Iterator[Event]:
        if self._extension is not None:
            self._skip = tar.padding(self._extension.size)
            self._extensions.add(self._extension, block)
            self._extension = None
            self._wanted = BLOCK
            return
        if block == tar.ZERO_BLOCK:
            self._zeros += 1
            if self._zeros == 2:
                self._ended = True
            return
        if self._zeros:
            raise InvalidParameter("invalid tar header")
        header = tar.parse_header(block)
        if self._extensions.begin(header):
            if header.size:
                self._extension = header
                self._wanted = header.size
                self._skip = 0
            return
        if header.type == tar.PAX_GLOBAL:
            self._skip = header.size + tar.padding(header.size)
            return
        if header.type == tar.GNU_SPARSE:
            raise InvalidParameter(_SPARSE)
        self._extensions.finish(header)
        self._extensions = tar.Extensions()
        if header.sparse is not None or header.sparse_in_data:
            raise InvalidParameter(_SPARSE)
        self._data_left = header.size
        self._skip = tar.padding(header.size)
        self._in_data = header.size > 0
        yield header
        if not self._in_data:
            yield END
