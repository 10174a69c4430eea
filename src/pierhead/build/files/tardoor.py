"""Contexts that come as a tar: taken in once, seen by every call of that build."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from pierhead.build.files.entries import decode
from pierhead.build.files.held import Held, Packs
from pierhead.build.files.layers import MEMORY_BYTES, Layers
from pierhead.build.files.tree import Tree
from pierhead.engine.images.feed import through_pipe
from pierhead.linux import process, worker

_STEP: Final = 1 << 20


async def take_tar(
    chunks: AsyncIterator[bytes],
    layers: Layers,
    jail: Path,
    *,
    what: str = "context",
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Held, int]:
    """Take a tar in, in any compression: the source, and how many bytes came.

    ``InvalidParameter`` for a broken or hostile one; nothing stays then.
    """

    async def counted() -> AsyncIterator[bytes]:
        total = 0
        async for chunk in chunks:
            total += len(chunk)
            if progress is not None:
                progress(f"transferring {what}", total, 0)
            yield chunk

    async def consume(fd: int) -> tuple[Held, int]:
        return await _take(fd, layers, jail, what)

    return await through_pipe(counted(), consume)


async def take_file(fd: int, offset: int, size: int, layers: Layers, jail: Path) -> Held:
    """As ``take_tar``, from a part of a file."""

    async def chunks() -> AsyncIterator[bytes]:
        at, end = offset, offset + size
        while at < end:
            chunk = await asyncio.to_thread(os.pread, fd, min(_STEP, end - at), at)
            if not chunk:
                return
            at += len(chunk)
            yield chunk

    held, _ = await take_tar(chunks(), layers, jail, what="archive")
    return held


async def _take(fd: int, layers: Layers, jail: Path, what: str) -> tuple[Held, int]:
    pack_fd = layers.scratch_file()
    index_fd = process.memory_file("index", b"")
    try:
        result = await worker.call(
            "build.files.ingest:take",
            {
                "pack_fd": pack_fd,
                "index_fd": index_fd,
                "limit_bytes": layers.room(),
                "what": what,
            },
            stdin=fd,
            jail=jail,
            pass_fds=(pack_fd, index_fd),
            site_packages=True,
            memory_limit_bytes=MEMORY_BYTES,
        )
        tree = await asyncio.to_thread(_tree, index_fd, what)
    except BaseException:
        os.close(pack_fd)
        raise
    finally:
        os.close(index_fd)
    return Held(tree, Packs({0: pack_fd})), result["bytes"]


def _tree(index_fd: int, what: str) -> Tree:
    return Tree(decode(os.pread(index_fd, os.fstat(index_fd).st_size, 0)), what)
