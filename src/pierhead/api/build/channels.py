"""Pier's own build door as a ``build.model.Client``: ``client/build_wire.py`` spoken by pierd.

One reader takes the frames apart; each question has a channel whose answer waits there
until it is wanted, at most ``WINDOW_BYTES`` of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, Protocol

from pierhead import errors
from pierhead.build.model import FileStat, Listing, Output, Receiver, SshAgent, Wanted
from pierhead.client import build_wire as wire
from pierhead.errors import InvalidParameter, NotFound, PierError

SECRET_LIMIT_BYTES: Final = 500 << 10
_ANSWER_LIMIT_BYTES: Final = 64 << 10
_KINDS: Final = {
    cls.kind: cls
    for cls in (
        errors.InvalidParameter,
        errors.Unauthorized,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.TooLarge,
        errors.Unavailable,
        errors.NotImplementedYet,
        errors.Internal,
    )
}


class Stream(Protocol):
    """A duplex byte stream: ``api.hijack.HijackProtocol`` is one."""

    async def read(self) -> bytes:
        """The next bytes, b"" at the end of the client's side; ``ConnectionError`` if it left."""
        ...

    async def write(self, data: bytes) -> None: ...

    def post(self, data: bytes) -> None:
        """Write without waiting. ``ConnectionError``."""
        ...


class Channel:
    """What the client answers to one question."""

    def __init__(self, door: Door, number: int) -> None:
        self._door = door
        self.number = number
        self._payloads: deque[bytes] = deque()
        self._held = 0  # bytes in ``_payloads``
        self._taken = 0  # bytes taken since the last grant
        self._news = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None

    def feed(self, payload: bytes, *, last: bool) -> None:
        """A frame of the client's has come."""
        if self._ended:
            return
        self._held += len(payload)
        if self._held > wire.WINDOW_BYTES + wire.PAYLOAD_LIMIT_BYTES:
            raise wire.WireError("more data than the window allows")
        if payload:
            self._payloads.append(payload)
        self._ended = last
        self._news.set()

    def fail(self, error: Exception) -> None:
        """The answer ends with an error, after what has come of it."""
        if not self._ended:
            self._error, self._ended = error, True
            self._news.set()

    async def read(self) -> bytes:
        """The next payload; b"" at the end. Raises what the client says, ``ConnectionError``."""
        while not self._payloads:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        payload = self._payloads.popleft()
        self._held -= len(payload)
        self._taken += len(payload)
        if self._taken >= wire.WINDOW_BYTES // 2 and not self._ended:
            granted, self._taken = self._taken, 0
            self._door.post(wire.frame(wire.WINDOW, self.number, granted.to_bytes(4, "big")))
        return payload

    async def whole(self, limit_bytes: int) -> bytes:
        """The whole answer. ``TooLarge`` beyond the limit."""
        found = b""
        while payload := await self.read():
            found += payload
            if len(found) > limit_bytes:
                raise errors.TooLarge(f"an answer of more than {limit_bytes} bytes")
        return found

    async def ready(self) -> None:
        """Wait for the first of the answer, or its failure, which is raised."""
        while not self._payloads and not self._ended:
            self._news.clear()
            await self._news.wait()
        if self._error is not None and not self._payloads:
            raise self._error

    async def write(self, data: bytes) -> None:
        await self._door.send(wire.frames(self.number, data))

    async def write_last(self) -> None:
        await self._door.send(wire.frame(wire.LAST, self.number))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The answer as it comes; the channel is closed with the iterator."""
        try:
            while payload := await self.read():
                yield payload
        finally:
            self.close()

    def close(self) -> None:
        """No more of it is wanted."""
        ended = self._ended
        self._ended = True
        self._payloads.clear()
        self._door.forget(self.number, tell=not ended)


class Door:
    """``build.model.Client`` over a stream whose other side is ``pier build``."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = wire.Decoder()
        self._channels: dict[int, Channel] = {}
        self._last = 0
        self._gone: Exception | None = None
        self._posted: list[bytes] = []
        self.has_tar = False
        """The client has the context as a tar."""

    @property
    def fault(self) -> PierError | None:
        """How the client broke the rules, if that is what ended the conversation."""
        return self._gone if isinstance(self._gone, PierError) else None

    # -- frames --------------------------------------------------------------------------
    async def start(self) -> dict[str, Any]:
        """The options that the client begins with. Raises ``InvalidParameter``."""
        while True:
            data = await self._stream.read()
            if not data:
                raise ConnectionResetError("the client has gone")
            with _rules():
                for kind, channel, payload in self._decoder.feed(data):
                    if (kind, channel) != (wire.START, 0):
                        raise InvalidParameter("a build begins with START")
                    options = wire.decode(payload)
                    if not isinstance(options, dict):
                        raise InvalidParameter("the options of a build are a JSON object")
                    return options

    async def read(self) -> None:
        """Take what the client sends until it cancels, leaves, or breaks the rules.

        Returns then; who waits for an answer gets ``ConnectionError``.
        """
        reason: Exception = ConnectionResetError("the client has gone")
        try:
            for frame in self._decoder.feed(b""):
                if self._take(*frame):
                    return
            while data := await self._stream.read():
                for frame in self._decoder.feed(data):
                    if self._take(*frame):
                        return
        except wire.WireError as error:
            reason = InvalidParameter(f"pier build door: {error}")
        except ConnectionError:
            pass
        finally:
            self._gone = reason
            for channel in list(self._channels.values()):
                channel.fail(reason)

    def _take(self, kind: int, number: int, payload: bytes) -> bool:
        """One frame. True: it is the last that matters."""
        if kind == wire.CANCEL:
            return True
        channel = self._channels.get(number)
        if channel is None:
            return False  # closed on our side while it was under way
        if kind in (wire.DATA, wire.LAST):
            channel.feed(payload, last=kind == wire.LAST)
        elif kind == wire.FAIL:
            channel.fail(error_of(wire.decode(payload)))
        else:
            raise wire.WireError(f"a frame of kind {kind} is not the client's to send")
        return False

    async def send(self, data: bytes) -> None:
        """Write after what was posted, as fast as the client reads."""
        if self._posted:
            data = b"".join((*self._posted, data))
            self._posted.clear()
        await self._stream.write(data)

    def post(self, data: bytes) -> None:
        """Small frames of one turn of the loop go out together."""
        if not self._posted:
            asyncio.get_running_loop().call_soon(self._flush)
        self._posted.append(data)

    def _flush(self) -> None:
        posted, self._posted = self._posted, []
        if posted:
            with contextlib.suppress(ConnectionError):  # the reader finds out
                self._stream.post(b"".join(posted))

    def ask(self, operation: str, **fields: Any) -> Channel:
        """Open a channel with a question."""
        if self._gone is not None:
            raise self._gone
        self._last += 1
        channel = self._channels[self._last] = Channel(self, self._last)
        with _rules():  # paths and patterns are the client's; there may be too many
            frame = wire.json_frame(wire.ASK, channel.number, {"op": operation, **fields})
        self.post(frame)
        return channel

    def forget(self, number: int, *, tell: bool) -> None:
        """A channel is over on our side."""
        if self._channels.pop(number, None) is not None and tell and self._gone is None:
            self.post(wire.frame(wire.CLOSE, number))

    async def _answer(self, limit_bytes: int, operation: str, **fields: Any) -> bytes:
        channel = self.ask(operation, **fields)
        try:
            return await channel.whole(limit_bytes)
        finally:
            channel.close()

    # -- build.model.Client --------------------------------------------------------------
    async def local(self, name: str, wanted: Wanted) -> AsyncIterator[Listing]:
        channel = self.ask(
            "local",
            name=name,
            include=list(wanted.include),
            exclude=list(wanted.exclude),
            follow=list(wanted.follow),
            shared_key=wanted.shared_key,
        )
        try:
            await channel.ready()
            yield ListedFiles(self, channel)
        finally:
            # The client keeps the listing for `content` until it is told otherwise.
            self._channels.pop(channel.number, None)
            if self._gone is None:
                self.post(wire.frame(wire.CLOSE, channel.number))

    async def context_tar(self) -> AsyncIterator[bytes] | None:
        if not self.has_tar:
            return None
        return self.ask("context").chunks()

    async def secret(self, secret_id: str) -> bytes | None:
        try:
            return await self._answer(SECRET_LIMIT_BYTES, "secret", id=secret_id)
        except NotFound:
            return None

    async def ssh(self, agent_id: str) -> SshAgent | None:
        try:
            await self._answer(0, "ssh", id=agent_id)
        except NotFound:
            return None
        return ForwardedAgent(self, agent_id)

    async def credentials(self, host: str) -> tuple[str, str] | None:
        answer = await self._answer(_ANSWER_LIMIT_BYTES, "credentials", host=host)
        with _rules():
            found = wire.decode(answer)
        if found is None:
            return None
        if not isinstance(found, list) or len(found) != 2:
            raise InvalidParameter("credentials are a user and a password")
        return str(found[0]), str(found[1])

    def receive(self, output: Output) -> Receiver:
        return SentOutput(self, output)


class ListedFiles:
    """``build.model.Listing``: the client's walk, and its files on demand."""

    def __init__(self, door: Door, channel: Channel) -> None:
        self._door = door
        self._channel = channel

    async def files(self) -> AsyncIterator[FileStat]:
        while payload := await self._channel.read():
            with _rules():
                entries = wire.unpack_entries(payload)
            for entry in entries:
                path, mode, size, mtime_ns, uid, gid, link, hard, major, minor, xattrs = entry
                yield FileStat(
                    path=path,
                    mode=mode,
                    uid=uid,
                    gid=gid,
                    size=size,
                    mtime_ns=mtime_ns,
                    link=link,
                    hard_link=hard,
                    device=(major, minor),
                    xattrs=xattrs,
                )

    async def content(self, path: bytes) -> AsyncIterator[bytes]:
        name = path.decode("utf-8", "surrogateescape")
        channel = self._door.ask("content", of=self._channel.number, path=name)
        try:
            while payload := await channel.read():
                yield payload
        finally:
            channel.close()


class ForwardedAgent:
    """``build.model.SshAgent``: each connection is a channel."""

    def __init__(self, door: Door, agent_id: str) -> None:
        self._door = door
        self._id = agent_id

    async def connect(self) -> AgentConnection:
        return AgentConnection(self._door.ask("ssh-connect", id=self._id))


class AgentConnection:
    """``build.model.Duplex``."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def read(self) -> bytes:
        return await self._channel.read()

    async def write(self, data: bytes) -> None:
        await self._channel.write(data)

    async def close(self) -> None:
        try:
            await self._channel.write_last()
            self._channel.close()
        except ConnectionError:
            return


class SentOutput:
    """``build.model.Receiver``: a tar for the client to put where it is wanted."""

    def __init__(self, door: Door, output: Output) -> None:
        self._door = door
        self._output = output
        self._channel: Channel | None = None

    async def write(self, data: bytes) -> None:
        await self._opened().write(data)

    async def close(self) -> None:
        """Returns when the client has all of it in place. Raises what went wrong there."""
        channel = self._opened()
        await channel.write_last()
        await channel.whole(0)
        channel.close()

    def _opened(self) -> Channel:
        if self._channel is None:
            output = self._output
            self._channel = self._door.ask(
                "receive",
                number=output.number,
                type=output.type,
                attributes=dict(output.attributes),
            )
        return self._channel


@contextlib.contextmanager
def _rules() -> Iterator[None]:
    """What the client gets wrong is its fault, not ours."""
    try:
        yield
    except wire.WireError as error:
        raise InvalidParameter(f"pier build door: {error}") from error


def error_of(fields: Any) -> PierError:
    """The error that a ``FAIL`` tells."""
    if not isinstance(fields, dict):
        raise wire.WireError("FAIL carries a JSON object")
    kind = _KINDS.get(str(fields.get("kind")), InvalidParameter)
    return kind(str(fields.get("message") or "the client has failed"))
