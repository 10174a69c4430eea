"""A client's content stores: OCI layouts that it reads from and writes to for a build.

containerd's content service on a session; which of the client's stores is meant is said in
the metadata of each call.
"""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator
from typing import IO, TYPE_CHECKING, Any, Final

from pierhead.build.buildkit import messages
from pierhead.build.model import FileStat
from pierhead.errors import InvalidParameter, NotFound

if TYPE_CHECKING:
    from pierhead.build.buildkit.channel import Channel

SERVICE: Final = "/containerd.services.content.v1.Content"
_PACKAGE: Final = "containerd.services.content.v1"
STORE_HEADER: Final = "buildkit-attachable-store-id"
LOCAL_STORE: Final = "local:"
OCI_STORE: Final = "oci:"
"""Prefixes of stores' ids: a directory of ``--cache-to/from``, an OCI layout."""
EXPORT_STORE: Final = "export"
"""The store that takes an OCI layout as output."""
CHUNK_BYTES: Final = 1 << 20
_WRITE, _COMMIT = 1, 2
_BLOBS: Final = b"blobs/"


class ContentStore:
    """One store. Digests are ``sha256:...``."""

    def __init__(self, channel: Channel, store_id: str) -> None:
        self._channel = channel
        self._metadata = [(STORE_HEADER, store_id)]

    async def size(self, digest: str) -> int:
        """Bytes of a blob; ``NotFound``."""
        reply = await self._channel.call(
            f"{SERVICE}/Info",
            messages.get(f"{_PACKAGE}.InfoRequest")(digest=digest),
            f"{_PACKAGE}.InfoResponse",
            metadata=self._metadata,
        )
        return int(reply.info.size)

    async def read(self, digest: str) -> AsyncIterator[bytes]:
        """A blob's bytes; ``NotFound``."""
        from pierhead.build.buildkit.wire import SERVER_STREAM

        request = f"{_PACKAGE}.ReadContentRequest"
        async with self._channel.open(
            f"{SERVICE}/Read",
            request,
            f"{_PACKAGE}.ReadContentResponse",
            cardinality=SERVER_STREAM,
            metadata=self._metadata,
            first=messages.get(request)(digest=digest),
        ) as stream:
            while (message := await stream.recv_message()) is not None:
                yield message.data

    async def write(self, digest: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Store a blob; fine if it is there already."""
        try:
            await self.size(digest)
            return
        except NotFound:
            pass
        kind = messages.get(f"{_PACKAGE}.WriteContentRequest")
        common: dict[str, Any] = {"ref": f"pierhead-{digest}", "total": size, "expected": digest}
        async with self._channel.open(
            f"{SERVICE}/Write",
            f"{_PACKAGE}.WriteContentRequest",
            f"{_PACKAGE}.WriteContentResponse",
            metadata=self._metadata,
        ) as stream:
            offset = 0
            async for chunk in chunks:
                await stream.send_message(kind(action=_WRITE, offset=offset, data=chunk, **common))
                await stream.recv_message()
                offset += len(chunk)
            await stream.send_message(kind(action=_COMMIT, offset=offset, **common), end=True)
            while await stream.recv_message() is not None:
                pass


class StoreListing:
    """``build.model.Listing`` of a store as an OCI layout: blobs by their path, no listing."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    async def files(self) -> AsyncIterator[FileStat]:
        """Nothing: a store is asked for what an index names."""
        return
        yield

    async def content(self, path: bytes) -> AsyncIterator[bytes]:
        if not path.startswith(_BLOBS):
            raise NotFound(f"a content store has no {path.decode(errors='replace')}")
        digest = path.removeprefix(_BLOBS).replace(b"/", b":", 1).decode(errors="replace")
        async for chunk in self._store.read(digest):
            yield chunk


async def put_layout(store: ContentStore, spool: IO[bytes]) -> str:
    """Write the blobs of an OCI layout (a tar) and return its index' one descriptor, as JSON."""
    index, blobs = await asyncio.to_thread(read_layout, spool)
    for digest, offset, size in blobs:
        await store.write(digest, size, _chunks(spool, offset, size))
    return index


def read_layout(spool: IO[bytes]) -> tuple[str, list[tuple[str, int, int]]]:
    """The descriptor in ``index.json``, and (digest, offset, bytes) of each blob. Blocks."""
    blobs: list[tuple[str, int, int]] = []
    descriptor: Any = None
    spool.seek(0)
    with tarfile.open(fileobj=spool, mode="r:") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name == "index.json" and (file := archive.extractfile(member)) is not None:
                descriptor = (json.load(file).get("manifests") or [None])[0]
            elif name.startswith("blobs/") and member.isreg():
                digest = name.removeprefix("blobs/").replace("/", ":", 1)
                blobs.append((digest, member.offset_data, member.size))
    if descriptor is None:
        raise InvalidParameter("the cache that was exported has no index.json")
    return json.dumps(descriptor, separators=(",", ":")), blobs


async def _chunks(spool: IO[bytes], offset: int, size: int) -> AsyncIterator[bytes]:
    end = offset + size
    while offset < end:
        data = await asyncio.to_thread(_read_at, spool, offset, min(CHUNK_BYTES, end - offset))
        offset += len(data)
        yield data


def _read_at(spool: IO[bytes], offset: int, count: int) -> bytes:
    spool.seek(offset)
    data = spool.read(count)
    if len(data) != count:
        raise InvalidParameter("the cache that was exported is shorter than its headers say")
    return data
