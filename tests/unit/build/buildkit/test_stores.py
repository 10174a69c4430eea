"""A client's content stores."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from pierhead.build.buildkit import messages, wire
from pierhead.build.buildkit.stores import (
    SERVICE,
    STORE_HEADER,
    ContentStore,
    StoreListing,
    put_layout,
    read_layout,
)
from pierhead.errors import InvalidParameter, NotFound
from support.buildkit import channel_to

PACKAGE = "containerd.services.content.v1"


class FakeStore:
    """containerd's content service, as far as it's used."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.stores: set[str] = set()

    def mapping(self) -> dict[str, Any]:
        rows = (
            ("Info", self.info, wire.UNARY, "InfoRequest", "InfoResponse"),
            ("Read", self.read, wire.SERVER_STREAM, "ReadContentRequest", "ReadContentResponse"),
            ("Write", self.write, wire.BOTH_STREAM, "WriteContentRequest", "WriteContentResponse"),
        )
        return {
            f"{SERVICE}/{name}": wire.handler(
                serve, cardinality, f"{PACKAGE}.{request}", f"{PACKAGE}.{reply}"
            )
            for name, serve, cardinality, request, reply in rows
        }

    def _blob(self, stream: Any, digest: str) -> bytes:
        self.stores.add(stream.metadata[STORE_HEADER])
        if digest not in self.blobs:
            raise GRPCError(Status.NOT_FOUND, f"content {digest}: not found")
        return self.blobs[digest]

    async def info(self, stream: Any) -> None:
        request = await stream.recv_message()
        reply = messages.get(f"{PACKAGE}.InfoResponse")()
        reply.info.size = len(self._blob(stream, request.digest))
        await stream.send_message(reply)

    async def read(self, stream: Any) -> None:
        request = await stream.recv_message()
        data = self._blob(stream, request.digest)
        for start in range(0, len(data), 5):
            reply = messages.get(f"{PACKAGE}.ReadContentResponse")
            await stream.send_message(reply(offset=start, data=data[start : start + 5]))

    async def write(self, stream: Any) -> None:
        parts = bytearray()
        async for request in stream:
            assert request.offset == len(parts)
            parts += request.data
            if request.action == 2:
                assert "sha256:" + hashlib.sha256(parts).hexdigest() == request.expected
                assert request.total == len(parts)
                self.blobs[request.expected] = bytes(parts)
            reply = messages.get(f"{PACKAGE}.WriteContentResponse")
            await stream.send_message(reply(action=request.action, offset=len(parts)))


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    for part in data:
        yield part


async def test_reading_and_writing() -> None:
    fake = FakeStore()
    digest = "sha256:" + hashlib.sha256(b"hello world").hexdigest()
    async with channel_to(fake.mapping()) as channel:
        store = ContentStore(channel, "local:/x")
        with pytest.raises(NotFound):
            await store.size(digest)
        with pytest.raises(NotFound):
            await anext(store.read(digest))
        await store.write(digest, 11, parts(b"hello ", b"world"))
        await store.write(digest, 11, parts())  # it's there already
        assert await store.size(digest) == 11
        assert b"".join([part async for part in store.read(digest)]) == b"hello world"
        listing = StoreListing(store)
        assert [file async for file in listing.files()] == []
        path = b"blobs/" + digest.replace(":", "/").encode()
        assert b"".join([part async for part in listing.content(path)]) == b"hello world"
        with pytest.raises(NotFound, match=r"index\.json"):
            await anext(listing.content(b"index.json"))
    assert fake.stores == {"local:/x"}


def layout(files: dict[str, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out


async def test_a_whole_layout() -> None:
    fake = FakeStore()
    blob = b"blob" * 1000
    hexadecimal = hashlib.sha256(blob).hexdigest()
    spool = layout(
        {f"blobs/sha256/{hexadecimal}": blob, "index.json": b'{"manifests":[{"size":1}]}'}
    )
    async with channel_to(fake.mapping()) as channel:
        assert await put_layout(ContentStore(channel, "s"), spool) == '{"size":1}'
    assert fake.blobs == {f"sha256:{hexadecimal}": blob}


def test_a_layout_without_an_index() -> None:
    with pytest.raises(InvalidParameter, match=r"index\.json"):
        read_layout(layout({"oci-layout": b"{}"}))
