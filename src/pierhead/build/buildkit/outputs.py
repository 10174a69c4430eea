"""Where a build's outputs go on the client's side: files, directories, content stores."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import IO, TYPE_CHECKING, Final

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.channel import batches, framed, send_framed
from pierhead.build.buildkit.filesend import TarSender
from pierhead.build.buildkit.filesync import PACKET
from pierhead.build.buildkit.stores import EXPORT_STORE, LOCAL_STORE, put_layout
from pierhead.build.model import Output, Receiver

if TYPE_CHECKING:
    from pierhead.build.buildkit.session import SessionClient
    from pierhead.build.buildkit.wire import Stream

MESSAGE_BYTES: Final = 1 << 20
BYTES: Final = "moby.filesync.v1.BytesMessage"


def receiver_of(client: SessionClient, output: Output) -> Receiver:
    """What takes the bytes of ``output`` to the client."""
    if output.attributes.get("cache") == "true" or output.attributes.get("tar") == "false":
        return StoreReceiver(client, output)
    if output.type == "local":
        return DirectoryReceiver(client, output)
    return FileReceiver(client, output)


class _Sending:
    """An open ``FileSend``: messages go out until ``finish``, which has the client's verdict."""

    def __init__(self, client: SessionClient, output: Output, kind: str) -> None:
        self._client = client
        self._output = output
        self._kind = kind
        self._stack = AsyncExitStack()
        self._stream: Stream | None = None

    async def open(self) -> Stream:
        if self._stream is None:
            self._stream = await self._stack.enter_async_context(
                self._client.sending(self._output, self._kind)
            )
        return self._stream

    async def guard(self, work: Awaitable[None]) -> None:
        """A call that broke off says why only when it is left."""
        try:
            await work
        except BaseException as error:
            await self._stack.__aexit__(type(error), error, error.__traceback__)
            raise

    async def finish(self) -> None:
        await self.guard(self._finish())
        await self._stack.aclose()

    async def _finish(self) -> None:
        stream = await self.open()
        if not stream._end_done:
            await stream.end()
        while await stream.recv_message() is not None:
            pass


class FileReceiver:
    """An output that is one file on the client's side."""

    def __init__(self, client: SessionClient, output: Output) -> None:
        self._to = _Sending(client, output, BYTES)
        self._message = messages.get(BYTES)

    async def write(self, data: bytes) -> None:
        stream = await self._to.open()
        for start in range(0, len(data), MESSAGE_BYTES):
            message = self._message(data=data[start : start + MESSAGE_BYTES])
            await self._to.guard(send_framed(stream, framed(message)))

    async def close(self) -> None:
        await self._to.finish()


class _SpoolReceiver:
    """A tar that can be handed on only when it is whole: its files are asked for by number."""

    def __init__(self, client: SessionClient, output: Output) -> None:
        self._client = client
        self._output = output
        self._spool: IO[bytes] = tempfile.TemporaryFile(dir=client.spool)

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(self._spool.write, data)

    async def close(self) -> None:
        try:
            await self._send(self._spool)
        finally:
            self._spool.close()

    async def _send(self, spool: IO[bytes]) -> None:
        raise NotImplementedError


class DirectoryReceiver(_SpoolReceiver):
    """An output that the client unpacks into a directory."""

    async def _send(self, spool: IO[bytes]) -> None:
        to = _Sending(self._client, self._output, PACKET)
        stream = await to.open()
        await to.guard(TarSender(stream, batches(stream), spool).run())
        await to.finish()


class StoreReceiver(_SpoolReceiver):
    """An OCI layout that goes into the client's content store: ``--cache-to type=local``, and
    ``--output type=oci,tar=false``."""

    async def _send(self, spool: IO[bytes]) -> None:
        attributes = self._output.attributes
        cache = attributes.get("cache") == "true"
        store_id = LOCAL_STORE + attributes.get("dest", "") if cache else EXPORT_STORE
        index = await put_layout(await self._client.store(store_id), spool)
        if cache:
            self._client.cache_manifests.append(index)
