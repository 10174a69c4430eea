"""Contexts that come as a tar: taken in once, seen by every call of that build."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from pierhead.build.files.entries import Entry, decode
from pierhead.build.files.held import Held, Packs, elsewhere
from pierhead.build.files.layers import MEMORY_BYTES, Layers
from pierhead.build.files.model import Transfer
from pierhead.build.files.pace import Paced, Progress
from pierhead.build.files.tree import Tree, find
from pierhead.build.files.view import wanted_tree
from pierhead.build.model import Client, Wanted
from pierhead.engine.images.feed import through_pipe
from pierhead.errors import PierError
from pierhead.linux import process, worker

_STEP: Final = 1 << 20


class TarDoor:
    """The tars that clients brought, until ``forget``. ``jail``: an empty directory."""

    def __init__(self, layers: Layers, jail: Path) -> None:
        self._layers = layers
        self._jail = jail
        self._brought: dict[int, Brought] = {}

    async def of(self, client: Client, progress: Progress) -> Brought | None:
        """The tar of ``client``, taken in once; ``None`` if it brings none."""
        brought = self._brought.setdefault(id(client), Brought(client))
        async with brought.lock:
            if not brought.asked:
                chunks = await client.context_tar()
                brought.asked = True
                if chunks is not None:
                    try:
                        brought.held, brought.bytes = await take_tar(
                            chunks, self._layers, self._jail, progress=progress
                        )
                    except PierError as error:
                        brought.error = error
        if brought.error is not None:
            raise brought.error
        return brought if brought.held is not None else None

    def forget(self, client: Client) -> None:
        """Drop it. No error if there is none."""
        brought = self._brought.pop(id(client), None)
        if brought is not None and brought.held is not None:
            brought.held.close()

    def close(self) -> None:
        """Drop all."""
        for brought in list(self._brought.values()):
            self.forget(brought.client)

    async def archive(self, download: Held) -> Held:
        """What the one file of a download holds, if it is a tar: as a context."""
        (name,) = download.tree.names(b"")
        entry = find(download.tree, name)
        fd = download.packs.fds[entry.pack]
        return await _take_part(fd, entry, self._layers, self._jail)


class Brought:
    """The tar that one client brought."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lock = asyncio.Lock()
        self.held: Held | None = None
        self.asked = False
        self.error: PierError | None = None
        """It can be read once only: whoever asks again is told the same."""
        self.bytes = 0

    async def view(self, wanted: Wanted) -> tuple[Held, Transfer]:
        """The part of it that is wanted."""
        whole = self.held
        assert whole is not None
        tree, ignored = await elsewhere(
            len(whole.tree),
            lambda: wanted_tree(whole.tree, wanted.include, wanted.exclude, wanted.follow),
        )
        transfer = Transfer(
            bytes_received=self.bytes,
            files_listed=len(whole.tree),
            files_received=len(whole.tree),
            ignored=ignored,
        )
        return Held(tree, whole.packs.share()), transfer


async def take_tar(
    chunks: AsyncIterator[bytes],
    layers: Layers,
    jail: Path,
    *,
    what: str = "context",
    progress: Progress | None = None,
) -> tuple[Held, int]:
    """Take a tar in, in any compression: the source, and how many bytes came.

    ``InvalidParameter`` for a broken or hostile one; nothing stays then.
    """

    tell = None if progress is None else Paced(progress)

    async def counted() -> AsyncIterator[bytes]:
        total = 0
        async for chunk in chunks:
            total += len(chunk)
            if tell is not None:
                tell(f"transferring {what}", total, 0)
            yield chunk

    async def consume(fd: int) -> tuple[Held, int]:
        return await _take(fd, layers, jail, what)

    return await through_pipe(counted(), consume)


async def _take_part(fd: int, entry: Entry, layers: Layers, jail: Path) -> Held:
    """As ``take_tar``, from a file within a pack."""

    async def chunks() -> AsyncIterator[bytes]:
        at, end = entry.offset, entry.offset + entry.size
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
