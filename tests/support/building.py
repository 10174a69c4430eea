"""Clients that bring contexts, and a file service with a base image to copy onto."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pierhead.build.files.model import CopyRequest, Source
from pierhead.build.files.service import FileService
from pierhead.build.model import Client, FileStat, Wanted
from pierhead.oci.digest import ChainId
from pierhead.store.snapshots import Layer, Snapshotter
from support.layers import directory, item, layer_tar
from support.trees import describe

CONTEXT = layer_tar(
    item("Dockerfile", data="FROM scratch"),
    directory("app", mode=0o700, owner=(1000, 1000)),
    item("app/main.py", data="print(1)", owner=(1000, 1000), mode=0o640),
    directory("app/lib"),
    item("app/lib/big", data=b"b" * 300_000),
    item("app/link", "symlink", link="lib/big"),
    item("notes.txt", data="notes"),
)


class TarClient:
    """A client that brings its context as a tar."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked = 0

    async def context_tar(self) -> AsyncIterator[bytes] | None:
        self.asked += 1
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), 10_000):
            yield self.data[start : start + 10_000]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} isn't for a client with a tar")


class ListClient:
    """A client that lists a directory, and counts what it is asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[bytes] = []

    async def context_tar(self) -> None:
        return None

    async def local(self, name: str, wanted: Wanted) -> AsyncIterator[ListClient]:
        yield self

    async def files(self) -> AsyncIterator[FileStat]:
        base = os.fsencode(self.root)
        for above, names, files in os.walk(base):
            names.sort()
            for each in sorted([*names, *files]):
                path = os.path.join(above, each)
                info = os.lstat(path)
                is_link = stat.S_ISLNK(info.st_mode)
                yield FileStat(
                    path=os.path.relpath(path, base),
                    mode=info.st_mode,
                    size=info.st_size,
                    mtime_ns=info.st_mtime_ns,
                    link=os.readlink(path) if is_link else b"",
                )

    async def content(self, path: bytes) -> AsyncIterator[bytes]:
        self.asked.append(path)
        data = (self.root / os.fsdecode(path)).read_bytes()
        for start in range(0, len(data), 50_000):
            yield data[start : start + 50_000]


class Bench:
    """A file service with a base image, and what is needed to look at layers."""

    def __init__(self, files: FileService, snapshots: Snapshotter, tmp: Path) -> None:
        self.files = files
        self.snapshots = snapshots
        self.view = tmp / "view"
        self.view.mkdir()
        self.base: ChainId | None = None

    async def context(self, data: bytes, **wanted: Any) -> Source:
        source, _ = await self.files.context(
            tar_client(data), "context", Wanted(**wanted), progress=lambda *_: None
        )
        return source

    async def copy(self, source: Source, *sources: str, to: str, **fields: Any) -> Layer:
        request = CopyRequest(sources=sources, destination=to, **fields)
        selection = await self.files.select(source, request)
        return await self.files.copy(None if request.link else self.base, [selection], request)

    def tree(self, layer: Layer) -> dict[str, Any]:
        """Paths of the merged file system to (type and mode, owner, content)."""
        self.snapshots.mount_readonly(layer.chain_id, self.view)
        try:
            return {os.fsdecode(k): v for k, v in describe(self.view).items()}
        finally:
            self.snapshots.unmount(self.view)

    def read(self, layer: Layer, path: str) -> bytes:
        self.snapshots.mount_readonly(layer.chain_id, self.view)
        try:
            return (self.view / path).read_bytes()
        finally:
            self.snapshots.unmount(self.view)


def tar_client(data: bytes) -> Client:
    client: Any = TarClient(data)
    return client


async def listed(bench: Bench, root: Path, key: str = "key") -> tuple[Source, list[bytes]]:
    client: Any = ListClient(root)
    source, _ = await bench.files.context(
        client, "context", Wanted(shared_key=key), progress=lambda *_: None
    )
    return source, client.asked
