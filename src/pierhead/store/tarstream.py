"""Reading a tar as a stream: members in order, each with a way to its data.

Memory is bounded: one chunk of data, one extension header (``tar.EXTENSION_LIMIT``).
"""

from __future__ import annotations

from collections.abc import Iterator

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.tar import BLOCK, Header
from pierhead.store.compression import CHUNK, Reader

ENDED = "unexpected end of the tar archive"


class TarReader:
    """Iterate over it for headers; between two of them, ``data()`` gives the member's bytes."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._buffer = b""
        self._position = 0
        self._left = 0  # bytes of the current member's data not yet taken
        self._padding = 0

    def __iter__(self) -> Iterator[Header]:
        while (header := self.next()) is not None:
            yield header

    def next(self) -> Header | None:
        """The next member's header, None at the end. Raises ``InvalidParameter``."""
        extensions = tar.Extensions()
        while True:
            self._skip_data()
            block = self._block()
            if block is None:
                if extensions.begun:
                    raise InvalidParameter(ENDED)
                return None
            header = tar.parse_header(block)
            kind = header.type
            if extensions.begin(header):
                extensions.add(header, self.exactly(header.size))
                self.exactly(tar.padding(header.size))
                continue
            if kind == tar.PAX_GLOBAL:
                self._expect_data(header.size)  # Docker ignores them; git writes a comment there
                continue
            if kind == tar.GNU_SPARSE:
                self._old_sparse(header, block)
            extensions.finish(header)
            self._expect_data(header.size)
            if header.sparse_in_data:
                self._sparse_head(header)
            return header

    def data(self) -> Iterator[bytes]:
        """The rest of the current member's data, in chunks."""
        while self._left:
            chunk = self._some(min(self._left, CHUNK))
            self._left -= len(chunk)
            yield chunk

    def read_data(self, size: int) -> bytes:
        """Exactly ``size`` bytes of the current member's data."""
        if size > self._left:
            raise InvalidParameter("invalid tar header: sparse map and size disagree")
        self._left -= size
        return self.exactly(size)

    def _expect_data(self, size: int) -> None:
        self._left = size
        self._padding = tar.padding(size)

    def _skip_data(self) -> None:
        self._left += self._padding
        self._padding = 0
        for _ in self.data():
            pass

    def _block(self) -> bytes | None:
        """The next block that isn't the end mark."""
        block = self._block_or_end()
        if block != tar.ZERO_BLOCK:
            return block
        second = self._block_or_end()
        if second is not None and second != tar.ZERO_BLOCK:
            raise InvalidParameter("invalid tar header")
        # Whatever stands behind the end mark belongs to the stream (and to its digest).
        while self._source.read(CHUNK):
            pass
        return None

    def _block_or_end(self) -> bytes | None:
        if self._position == len(self._buffer):
            self._buffer = self._source.read(CHUNK)
            self._position = 0
            if not self._buffer:
                return None
        return self.exactly(BLOCK)

    def _some(self, size: int) -> bytes:
        """Between 1 and ``size`` bytes."""
        position = self._position
        if position == len(self._buffer):
            data = self._source.read(CHUNK)
            if not data:
                raise InvalidParameter(ENDED)
            if len(data) <= size:
                return data
            self._buffer, self._position = data, size
            return data[:size]
        data = self._buffer[position : position + size]
        self._position = position + len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """``size`` bytes of the archive, or ``InvalidParameter``."""
        position = self._position
        end = position + size
        if end <= len(self._buffer):
            self._position = end
            return self._buffer[position:end]
        parts = []
        while size:
            part = self._some(size)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _old_sparse(self, header: Header, block: bytes) -> None:
        """GNU's own sparse format: four entries in the header, 21 in each block after it."""
        entries = tar.gnu_sparse_map(block, 386, 4)
        header.real_size = tar.number(block[483:495])
        extended = block[482]
        while extended:
            more = self.exactly(BLOCK)
            entries += tar.gnu_sparse_map(more, 0, 21)
            extended = more[504]
            if len(entries) > tar.SPARSE_ENTRIES_LIMIT:
                raise InvalidParameter("invalid tar header: the sparse map is too long")
        header.sparse = entries
        tar.check_sparse(header)

    def _sparse_head(self, header: Header) -> None:
        """PAX sparse 1.0: decimal numbers, one a line, at the head of the data, block-padded."""
        text = b""
        taken = 0

        def line() -> int:
            nonlocal text, taken
            while b"\n" not in text:
                text += self.read_data(BLOCK)
                taken += BLOCK
                if taken > tar.EXTENSION_LIMIT * 32:
                    raise InvalidParameter("invalid tar header: the sparse map is too long")
            digits, _, text = text.partition(b"\n")
            if not digits.isdigit() or len(digits) > 20:
                raise InvalidParameter("invalid tar header: bad sparse map")
            return int(digits)

        count = line()
        if count > tar.SPARSE_ENTRIES_LIMIT:
            raise InvalidParameter("invalid tar header: the sparse map is too long")
        header.sparse = [(line(), line()) for _ in range(count)]
        header.size -= taken
        tar.check_sparse(header)
