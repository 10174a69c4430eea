"""Calls to a client, on a socket pair: our server plays the client's."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from pierhead.build.buildkit import messages, wire
from pierhead.build.buildkit.channel import Channel, _split, batches, framed, send_framed
from pierhead.errors import (
    InvalidParameter,
    NotFound,
    TooLarge,
    Unavailable,
)
from support.buildkit import channel_to, ends

BYTES = "moby.buildkit.v1.BytesMessage"
PATH = "/test.Echo/Echo"


async def echo(stream: Any) -> None:
    """Each message back, until one says what to do."""
    async for message in stream:
        if message.data == b"refuse":
            raise NotFound("not here")
        if message.data == b"break":
            raise RuntimeError("oh")
        if message.data == b"early":
            return
        await stream.send_message(message)


ECHO = {PATH: wire.handler(echo, wire.BOTH_STREAM, BYTES, BYTES)}


async def test_messages_both_ways() -> None:
    kind = messages.get(BYTES)
    big = b"x" * (3 << 20)  # more than a frame, and than h2's first window
    async with channel_to(ECHO) as channel, channel.open(PATH, BYTES, BYTES) as stream:
        for data in (b"", b"a", big):
            await stream.send_message(kind(data=data))
            assert (await stream.recv_message()).data == data
        await stream.end()
        assert await stream.recv_message() is None


async def test_many_small_messages_at_once() -> None:
    kind = messages.get(BYTES)
    sent = [b"%d" % number for number in range(500)]
    async with channel_to(ECHO) as channel, channel.open(PATH, BYTES, BYTES) as stream:
        for data in sent:
            await stream.send_message(kind(data=data))
        await stream.end()
        found = [kind.FromString(raw).data async for batch in batches(stream) for raw in batch]
    assert found == sent


async def test_more_than_the_windows_hold() -> None:
    """Windows open again while messages are read past h2."""
    kind = messages.get(BYTES)
    part = b"y" * (1 << 20)
    total = wire.WINDOW_BYTES * 3 // len(part)
    async with channel_to(ECHO) as channel, channel.open(PATH, BYTES, BYTES) as stream:
        for _ in range(total):
            await stream.send_message(kind(data=part))
            assert len((await stream.recv_message()).data) == len(part)
        await stream.end()
        assert await stream.recv_message() is None


async def test_messages_that_are_too_big(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = messages.get(BYTES)
    monkeypatch.setattr(wire, "MESSAGE_LIMIT_BYTES", 1000)
    async with channel_to(ECHO) as channel:
        with pytest.raises(InvalidParameter, match="a message of 1204 bytes: at most 1000"):
            async with channel.open(PATH, BYTES, BYTES) as stream:
                await stream.send_message(kind(data=b"x" * 1200 + b"\0"))
                await stream.recv_message()
    with pytest.raises(TooLarge):
        _split(bytearray(b"\0" + (1001).to_bytes(4, "big")))


async def test_errors_come_as_ours() -> None:
    kind = messages.get(BYTES)
    async with channel_to(ECHO) as channel:
        for word, text in ((b"refuse", "not here"), (b"break", "RuntimeError: oh")):
            with pytest.raises(InvalidParameter, match=text):
                async with channel.open(PATH, BYTES, BYTES) as stream:
                    await stream.send_message(kind(data=word), end=True)
                    await stream.recv_message()


async def test_a_stream_that_the_other_side_ends_first() -> None:
    kind = messages.get(BYTES)
    async with channel_to(ECHO) as channel:
        async with channel.open(PATH, BYTES, BYTES) as stream:
            await stream.send_message(kind(data=b"early"))
            assert await stream.recv_message() is None
        async with channel.open(PATH, BYTES, BYTES) as stream:  # leaving early is no error
            await stream.send_message(kind(data=b"a"))


async def test_after_the_end() -> None:
    kind = messages.get(BYTES)
    async with channel_to(ECHO) as channel:
        channel.close()
        await channel.gone.wait()
        with pytest.raises(Unavailable, match="has ended"):
            await channel.call(PATH, kind(), BYTES)


async def test_frames_that_come_in_pieces() -> None:
    kind = messages.get(BYTES)
    random = Random(7)
    sent = [random.randbytes(random.choice((0, 3, 9, 700, 40_000))) for _ in range(60)]
    async with channel_to(ECHO) as channel:
        protocol = channel._protocol
        assert protocol is not None
        whole = protocol.data_received

        def pieces(data: bytes) -> None:
            while data:
                size = random.choice((1, 2, 8, 9, 10, 1000, 20_000))
                whole(data[:size])
                data = data[size:]

        protocol.data_received = pieces  # type: ignore[method-assign]
        async with channel.open(PATH, BYTES, BYTES) as stream:
            for data in sent:
                await stream.send_message(kind(data=data))
            await stream.end()
            found = [kind.FromString(raw).data async for batch in batches(stream) for raw in batch]
    assert found == sent


async def test_framed_messages_keep_to_the_windows() -> None:
    """More than the other side's window at once; it answers while we send."""
    kind = messages.get(BYTES)
    sent = [kind(data=bytes([number]) * 900_000) for number in range(20)]
    async with channel_to(ECHO) as channel, channel.open(PATH, BYTES, BYTES) as stream:
        sending = asyncio.create_task(send_framed(stream, b"".join(map(framed, sent))))
        for message in sent:
            assert (await stream.recv_message()).data == message.data
        await sending
        await stream.end()
        assert await stream.recv_message() is None
    async with channel_to(ECHO) as channel:
        with pytest.raises(Unavailable):
            async with channel.open(PATH, BYTES, BYTES) as stream:
                channel.close()
                await send_framed(stream, framed(kind(data=b"late")))


@pytest.mark.parametrize("seed", range(20))
async def test_what_is_not_http2_ends_the_connection(seed: int) -> None:
    random = Random(seed)
    settings = b"\0\0\0\4\0\0\0\0\0"
    noise = random.choice((b"", settings)) + random.randbytes(random.randrange(10, 400))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for side in ("server", "client"):
        mine, theirs = await ends()
        if side == "server":
            running = asyncio.create_task(wire.serve(theirs, ECHO))
            mine.transport.write(random.choice((b"", preface)) + noise)
        else:
            channel = Channel(theirs)
            running = asyncio.create_task(channel.gone.wait())  # type: ignore[arg-type]
            mine.transport.write(noise)
        mine.transport.close()
        await asyncio.wait_for(running, 5)


async def test_a_peer_that_ignores_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "WINDOW_BYTES", 70_000)
    kind = messages.get(BYTES)

    async def flood(stream: Any) -> None:
        await stream.recv_message()
        await stream.send_initial_metadata()
        inner = stream._stream
        frame = (16_000).to_bytes(3, "big") + b"\0\0" + inner.id.to_bytes(4, "big") + b"x" * 16_000
        for _ in range(20):
            inner._transport.write(frame)
        await stream.recv_message()

    mapping = {PATH: wire.handler(flood, wire.BOTH_STREAM, BYTES, BYTES)}
    async with channel_to(mapping) as channel:
        with pytest.raises(Unavailable, match="session ended"):
            async with channel.open(PATH, BYTES, BYTES) as stream:
                await stream.send_message(kind())
                await asyncio.wait_for(channel.gone.wait(), 5)
                await stream.recv_message()
