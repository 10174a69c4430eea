"""Contents that come in pieces."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator

from pierhead.build.files.entries import EMPTY, Entry
from pierhead.build.files.packwriter import PackWriter


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


async def test_several_files_at_a_time() -> None:
    fd = os.memfd_create("pack")
    writer = PackWriter(fd, 3)
    entries = [Entry(b"%d" % n, 0o100644, size=600_000) for n in range(5)]
    exact = await asyncio.gather(
        *(
            writer.take(entry, pieces(*[bytes([n]) * 100_000] * 6))
            for n, entry in enumerate(entries)
        )
    )
    await writer.finish()
    writer.close()
    assert exact == [True] * 5
    assert writer.size_bytes == writer.received == 3_000_000
    for number, entry in enumerate(entries):
        data = bytes([number]) * 600_000
        assert os.pread(fd, entry.size, entry.offset) == data
        assert entry.digest == hashlib.sha256(data).digest()
        assert entry.pack == 3
    os.close(fd)


async def test_files_that_change_while_they_come() -> None:
    fd = os.memfd_create("pack")
    writer = PackWriter(fd, 0)
    grown, shrunk, gone = (Entry(b"f", 0o100644, size=4) for _ in range(3))
    assert not await writer.take(grown, pieces(b"abc", b"defg"))
    assert not await writer.take(shrunk, pieces(b"xy"))
    assert not await writer.take(gone, pieces())
    await writer.finish()
    writer.close()
    assert os.pread(fd, 4, grown.offset) == b"abcd"
    assert grown.digest == hashlib.sha256(b"abcd").digest()
    assert (shrunk.size, gone.size, gone.digest) == (2, 0, EMPTY)
    os.close(fd)
