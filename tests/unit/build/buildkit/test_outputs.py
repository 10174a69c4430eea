"""Outputs on their way to the client."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from pierhead.build.buildkit import session, wire
from pierhead.build.buildkit.session import SessionClient, Sessions
from pierhead.build.model import Output
from pierhead.errors import InvalidParameter
from support.buildkit import StubBuilds, door_on, session_of

PACKAGE = "moby.filesync.v1"


async def test_outputs(tmp_path: Path) -> None:
    door = door_on(StubBuilds())
    received: dict[str, bytes] = {}

    async def take(stream: Any) -> None:
        number = stream.metadata["buildkit-attachable-exporter-id"]
        parts = [message.data async for message in stream]
        if b"bad" in parts:
            raise GRPCError(Status.UNKNOWN, "target exists")
        received[number] = b"".join(parts)

    kind = f"{PACKAGE}.BytesMessage"
    send = {session.FILE_SEND: wire.handler(take, wire.BOTH_STREAM, kind, kind)}
    async with session_of(door, send) as session_id:
        client = SessionClient(door.sessions, session_id, spool=tmp_path)
        to = client.receive(Output(type="tar", number=3))
        await to.write(b"a" * (2 << 20))
        await to.write(b"b")
        await to.close()
        assert received["3"] == b"a" * (2 << 20) + b"b"
        await client.receive(Output(type="oci", number=4)).close()
        assert received["4"] == b""
        to = client.receive(Output(type="tar"))
        await to.write(b"bad")
        with pytest.raises(InvalidParameter, match="target exists"):
            await to.close()


async def test_a_cache_goes_into_the_clients_store(tmp_path: Path) -> None:
    written: list[tuple[str, bytes]] = []

    class Store:
        async def write(self, digest: str, size: int, chunks: AsyncIterator[bytes]) -> None:
            written.append((digest, b"".join([part async for part in chunks])))

    client = SessionClient(Sessions(), "s", spool=tmp_path)

    asked: list[str] = []

    async def store(store_id: str) -> Any:
        asked.append(store_id)
        return Store()

    client.store = store  # type: ignore[method-assign]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        index = b'{"manifests":[{"digest":"sha256:aa","size":3}]}'
        for name, data in (("blobs/sha256/aa", b"abc"), ("index.json", index)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    output = Output(type="local", attributes={"dest": "/cache", "cache": "true"})
    to = client.receive(output)
    await to.write(out.getvalue())
    await to.close()
    to = client.receive(Output(type="oci", attributes={"tar": "false"}))
    await to.write(out.getvalue())
    await to.close()
    assert asked == ["local:/cache", "export"]
    assert written == [("sha256:aa", b"abc")] * 2
    assert client.cache_manifests == ['{"digest":"sha256:aa","size":3}']
