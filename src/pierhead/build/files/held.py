"""Sources that are handed out: their trees in memory, and the packs their contents lie in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from pierhead.build.files.collect import Part, collect, digest
from pierhead.build.files.entries import Entry
from pierhead.build.files.tree import Tree, find
from pierhead.errors import InvalidParameter, TooLarge
from pierhead.oci.digest import ChainId

T = TypeVar("T")

INLINE_FILES: Final = 300
"""Trees of more files are searched in a thread."""


class Packs:
    """Open packs by number, closed with their last user."""

    def __init__(self, fds: dict[int, int], on_close: Callable[[], None] | None = None) -> None:
        self.fds = fds
        self._users = 1
        self._on_close = on_close

    def share(self) -> Packs:
        self._users += 1
        return self

    def close(self) -> None:
        self._users -= 1
        if self._users == 0:
            for fd in self.fds.values():
                os.close(fd)
            if self._on_close is not None:
                self._on_close()


class Held:
    """One source in memory. ``close`` it once."""

    def __init__(self, tree: Tree, packs: Packs, *, single: bool = False) -> None:
        self.single = single
        """A download: whatever is asked for, it is its one file."""
        self.tree = tree
        self.packs = packs
        self._parts: dict[tuple[object, ...], list[Part]] = {}
        self._open = True
        self.chains: dict[bytes, ChainId] = {}
        """Subtrees that were made layers, by path."""
        self.locks: dict[bytes, asyncio.Lock] = {}
        self.when_closed: list[Callable[[], None]] = []

    def close(self) -> None:
        if self._open:
            self._open = False
            self._parts.clear()
            self.tree = Tree(())
            for close in self.when_closed:
                close()
            self.packs.close()

    async def collect(
        self, sources: Sequence[str], parents: bool, exclude: Sequence[str]
    ) -> list[Part]:
        """The parts that these mean; remembered."""
        key = (tuple(sources), parents, tuple(exclude))
        parts = self._parts.get(key)
        if parts is None:
            parts = await elsewhere(
                len(self.tree),
                lambda: collect(self.tree, sources, parents=parents, exclude=exclude),
            )
            self._parts[key] = parts
        return parts

    async def digest(self, parts: Sequence[Part], *, keep_owner: bool) -> tuple[str, int, int]:
        """See ``collect.digest``."""
        count = sum(len(part.entries) for part in parts)
        return await elsewhere(count, lambda: digest(parts, keep_owner=keep_owner))

    def read(self, path: str, limit_bytes: int) -> bytes:
        """A file's bytes, symlinks followed inside."""
        entry = find(self.tree, path.encode("utf-8", "surrogateescape"))
        if not entry.is_file:
            raise InvalidParameter(f"{path}: not a regular file")
        if entry.size > limit_bytes:
            raise TooLarge(f"{path}: {entry.size} bytes are more than {limit_bytes}")
        return read_entry(entry, self.packs.fds)


def read_entry(entry: Entry, fds: dict[int, int]) -> bytes:
    data = b""
    while len(data) < entry.size:
        chunk = os.pread(fds[entry.pack], entry.size - len(data), entry.offset + len(data))
        if not chunk:
            raise InvalidParameter("the source's content is cut short")
        data += chunk
    return data


async def elsewhere(size: int, work: Callable[[], T]) -> T:
    """Small work at once, other in a thread."""
    return work() if size <= INLINE_FILES else await asyncio.to_thread(work)
