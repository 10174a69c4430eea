"""Pierd's side of the build door, against a client that is scripted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from pierhead.api.build.channels import Door, error_of
from pierhead.build.model import FileStat, Output, Wanted
from pierhead.client import build_wire as wire
from pierhead.errors import InvalidParameter, NotFound, PierError, TooLarge, Unavailable


class Wire:
    """A stream whose client side answers each question by a function."""

    def __init__(self, answer: Callable[[Wire, int, dict[str, Any]], None] | None = None) -> None:
        self._answer = answer
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._decoder = wire.Decoder()
        self.asked: list[dict[str, Any]] = []
        self.granted: Callable[[int, int], None] = lambda channel, count: None
        self.got: list[tuple[int, int, bytes]] = []

    def say(self, *frames: bytes) -> None:
        for frame in frames:
            self._incoming.put_nowait(frame)

    def leave(self) -> None:
        self._incoming.put_nowait(b"")

    async def read(self) -> bytes:
        return await self._incoming.get()

    async def write(self, data: bytes) -> None:
        self.post(data)

    def post(self, data: bytes) -> None:
        for kind, channel, payload in self._decoder.feed(data):
            self.got.append((kind, channel, payload))
            if kind == wire.WINDOW:
                self.granted(channel, int.from_bytes(payload, "big"))
            if kind == wire.ASK:
                question = wire.decode(payload)
                self.asked.append(question)
                if self._answer is not None:
                    self._answer(self, channel, question)


class Opened:
    """A door with its reader at work."""

    def __init__(self, stream: Wire) -> None:
        self.stream = stream
        self.door = Door(stream)

    async def __aenter__(self) -> Door:
        self._reader = asyncio.ensure_future(self.door.read())
        return self.door

    async def __aexit__(self, *_: object) -> None:
        self.stream.leave()
        await asyncio.wait_for(self._reader, 10)


def say(*payloads: bytes) -> Callable[[Wire, int, dict[str, Any]], None]:
    """Answer with these, the last of them LAST."""

    def answer(stream: Wire, channel: int, question: dict[str, Any]) -> None:
        for payload in payloads[:-1]:
            stream.say(wire.frame(wire.DATA, channel, payload))
        stream.say(wire.frame(wire.LAST, channel, payloads[-1]))

    return answer


def fail(kind: str, message: str = "no") -> Callable[[Wire, int, dict[str, Any]], None]:
    def answer(stream: Wire, channel: int, question: dict[str, Any]) -> None:
        stream.say(wire.json_frame(wire.FAIL, channel, {"kind": kind, "message": message}))

    return answer


async def test_options_come_first() -> None:
    stream = Wire()
    stream.say(wire.json_frame(wire.START, 0, {"target": "x"}))
    assert await Door(stream).start() == {"target": "x"}
    for wrong in (wire.frame(wire.DATA, 1), wire.json_frame(wire.START, 0, []), b"GET / HTTP"):
        stream = Wire()
        stream.say(wrong)
        with pytest.raises(InvalidParameter):
            await Door(stream).start()
    stream = Wire()
    stream.leave()
    with pytest.raises(ConnectionError):
        await Door(stream).start()


async def test_frames_behind_the_options_are_kept() -> None:
    stream = Wire()
    stream.say(wire.json_frame(wire.START, 0, {}) + wire.frame(wire.CANCEL, 0))
    door = Door(stream)
    await door.start()
    await asyncio.wait_for(door.read(), 10)


async def test_secrets_and_credentials() -> None:
    async with Opened(Wire(say(b"geh", b"eim"))) as door:
        assert await door.secret("s") == b"geheim"
    async with Opened(Wire(fail("not_found"))) as door:
        assert await door.secret("s") is None
    async with Opened(Wire(fail("unavailable"))) as door:
        with pytest.raises(Unavailable):
            await door.secret("s")
    async with Opened(Wire(say(bytes(600 << 10), b""))) as door:
        with pytest.raises(TooLarge):
            await door.secret("s")
    async with Opened(Wire(say(b'["u","p"]'))) as door:
        assert await door.credentials("r.example") == ("u", "p")
    async with Opened(Wire(say(b"null"))) as door:
        assert await door.credentials("r.example") is None
    async with Opened(Wire(say(b'"x"'))) as door:
        with pytest.raises(InvalidParameter):
            await door.credentials("r.example")


async def test_listings_and_contents() -> None:
    def answer(stream: Wire, channel: int, question: dict[str, Any]) -> None:
        if question["op"] == "content":
            say(b"content of " + question["path"].encode())(stream, channel, question)
            return
        entries = [
            wire.pack_entry(b"a", 0o100644, 3, 5),
            wire.pack_entry(b"l", 0o120777, link=b"a", uid=1),
        ]
        stream.say(*wire.pack_entries(channel, entries), wire.frame(wire.LAST, channel))

    stream = Wire(answer)
    async with Opened(stream) as door:
        wanted = Wanted(include=["i"], exclude=["e"], follow=["f"], shared_key="k")
        async for listing in door.local("context", wanted):
            assert [stat async for stat in listing.files()] == [
                FileStat(path=b"a", mode=0o100644, size=3, mtime_ns=5),
                FileStat(path=b"l", mode=0o120777, link=b"a", uid=1),
            ]
            content = [chunk async for chunk in listing.content(b"a")]
            assert content == [b"content of a"]
    assert stream.asked == [
        {
            "op": "local",
            "name": "context",
            "include": ["i"],
            "exclude": ["e"],
            "follow": ["f"],
            "shared_key": "k",
        },
        {"op": "content", "of": 1, "path": "a"},
    ]
    assert (wire.CLOSE, 1, b"") in stream.got  # or the client would hold the walk for ever
    assert (wire.CLOSE, 2, b"") not in stream.got


async def test_an_unknown_source_is_not_found() -> None:
    async with Opened(Wire(fail("not_found", "no local source x"))) as door:
        with pytest.raises(NotFound, match="no local source x"):
            await anext(door.local("x", Wanted()))


@pytest.mark.parametrize("payload", [b"{", b"{}", b"[1]", b'[["a","b"]]'])
async def test_broken_answers_are_the_clients_fault(payload: bytes) -> None:
    async with Opened(Wire(say(payload))) as door:
        async for listing in door.local("context", Wanted()):
            with pytest.raises(InvalidParameter, match="pier build door"):
                await anext(listing.files())
    async with Opened(Wire(say(b"{"))) as door:
        with pytest.raises(InvalidParameter, match="pier build door"):
            await door.credentials("h")


@pytest.mark.parametrize("seed", range(30))
async def test_noise_ends_the_conversation(seed: int) -> None:
    dice = random.Random(seed)
    stream = Wire()
    door = Door(stream)
    channel = door.ask("context")
    for _ in range(20):
        frame = wire.frame(dice.randrange(16), dice.choice((0, 1, 2)), dice.randbytes(9))
        if dice.random() < 0.3:
            at = dice.randrange(len(frame))
            frame = frame[:at] + dice.randbytes(1) + frame[at + 1 :]
        stream.say(frame)
    stream.leave()
    await asyncio.wait_for(door.read(), 10)
    try:
        while await channel.read():
            pass
    except (PierError, ConnectionError):
        pass


async def test_the_window_is_granted_back() -> None:
    chunk = bytes(wire.CHUNK_BYTES)
    grants: list[int] = []

    def send(channel: int, count: int) -> None:
        stream.say(*[wire.frame(wire.DATA, channel, chunk)] * (count // len(chunk)))

    def more(channel: int, count: int) -> None:
        grants.append(count)
        send(channel, count)

    stream = Wire(lambda stream, channel, question: send(channel, wire.WINDOW_BYTES))
    stream.granted = more
    async with Opened(stream) as door:
        door.has_tar = True
        tar = await door.context_tar()
        assert tar is not None
        seen = 0
        async for data in tar:
            seen += len(data)
            if seen >= 3 * wire.WINDOW_BYTES:
                break
    assert sum(grants) >= 2 * wire.WINDOW_BYTES


async def test_more_than_the_window_breaks_the_rules() -> None:
    def answer(stream: Wire, channel: int, question: dict[str, Any]) -> None:
        for _ in range(wire.WINDOW_BYTES // wire.PAYLOAD_LIMIT_BYTES + 2):
            stream.say(wire.frame(wire.DATA, channel, bytes(wire.PAYLOAD_LIMIT_BYTES)))

    door = Door(Wire(answer))
    channel = door.ask("context")
    await asyncio.wait_for(door.read(), 10)
    with pytest.raises(InvalidParameter, match="window"):
        while await channel.read():
            pass


async def test_who_waits_hears_that_the_client_left() -> None:
    stream = Wire()
    door = Door(stream)
    reader = asyncio.ensure_future(door.read())
    asked = asyncio.ensure_future(door.secret("s"))
    while not stream.asked:
        await asyncio.sleep(0)
    stream.leave()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(asked, 10)
    await reader
    with pytest.raises(ConnectionError):
        await door.secret("s")


async def test_agents() -> None:
    def answer(stream: Wire, channel: int, question: dict[str, Any]) -> None:
        if question["op"] == "ssh":
            stream.say(wire.frame(wire.LAST, channel))
        else:
            stream.say(wire.frame(wire.DATA, channel, b"hello"))

    stream = Wire(answer)
    async with Opened(stream) as door:
        agent = await door.ssh("default")
        assert agent is not None
        duplex = await agent.connect()
        assert await duplex.read() == b"hello"
        await duplex.write(b"you")
        await duplex.close()
    assert [frame[0::2] for frame in stream.got if frame[1] == 2][1:] == [
        (wire.DATA, b"you"),
        (wire.LAST, b""),
        (wire.CLOSE, b""),
    ]
    async with Opened(Wire(fail("not_found"))) as door:
        assert await door.ssh("default") is None


async def test_outputs_wait_for_the_client() -> None:
    stream = Wire()
    async with Opened(stream) as door:
        receiver = door.receive(Output(type="tar", number=2))
        await receiver.write(b"tar")
        closing = asyncio.ensure_future(receiver.close())
        while stream.got[-1][0] != wire.LAST:
            await asyncio.sleep(0)
        assert not closing.done()
        stream.say(wire.frame(wire.LAST, 1))
        await asyncio.wait_for(closing, 10)
    assert stream.asked == [{"op": "receive", "number": 2, "type": "tar", "attributes": {}}]

    stream = Wire()
    async with Opened(stream) as door:
        receiver = door.receive(Output(type="local"))
        await receiver.write(b"x")
        stream.say(wire.json_frame(wire.FAIL, 1, {"kind": "invalid", "message": "disk full"}))
        with pytest.raises(InvalidParameter, match="disk full"):
            await receiver.close()


async def test_no_tar_unless_there_is_one() -> None:
    assert await Door(Wire()).context_tar() is None


def test_errors_have_their_kind() -> None:
    assert isinstance(error_of({"kind": "not_found", "message": "x"}), NotFound)
    assert isinstance(error_of({"kind": "strange"}), PierError)
    with pytest.raises(wire.WireError):
        error_of([])
