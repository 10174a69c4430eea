"""Contexts that come as a tar: taken in once, seen by every call of that build."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from pierhead.build.files.entries import decode
from pierhead.build.files.held import Held, Packs
from pierhead.build.files.layers import MEMORY_BYTES, Layers
from pierhead.build.files.tree import Tree
from pierhead.engine.images.feed import through_pipe
from pierhead.linux import process, worker


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
    pack_fd = layers.scratch_file()
    index_fd = process.memory_file("index", b"")

    async def counted() -> AsyncIterator[bytes]:
        total = 0
        async for chunk in chunks:
            total += len(chunk)
            if progress is not None:
                progress(f"transferring {what}", total, 0)
            yield chunk

    async def consume(fd: int) -> dict[str, int]:
        result: dict[str, int] = await worker.call(
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
        return result

    try:
        result = await through_pipe(counted(), consume)
        tree = Tree(decode(os.pread(index_fd, os.fstat(index_fd).st_size, 0)), what)
    except BaseException:
        os.close(pack_fd)
        raise
    finally:
        os.close(index_fd)
    return Held(tree, Packs({0: pack_fd})), result["bytes"]
