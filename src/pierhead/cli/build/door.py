"""A build through the daemon's own door: one connection, one loop.

Frames come in: events go to the display, questions are answered, output is put away.
Frames go out as the daemon's window of each channel allows, in turn, so that a large file
does not hold up a small one. One thread; the display's clock goes on while nothing comes.
"""

from __future__ import annotations

import posix
import select

from pierhead.cli.build.answers import Refused, error_text
from pierhead.cli.build.progress.display import TICK_S
from pierhead.cli.errors import CliError
from pierhead.client import build_wire as wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    from pierhead.cli.build.answers import Answers
    from pierhead.cli.build.receive import Target
    from pierhead.client.http import Client, Hijacked

    class Shown(Protocol):
        """What is used of a display."""

        def update(self, events: list[dict[str, Any]]) -> None: ...
        def refresh(self) -> None: ...


_READ = select.POLLIN | select.POLLHUP | select.POLLERR
#: Frames of several channels are sent together up to this size.
_BATCH_BYTES = 256 << 10


class BuildFailed(Exception):
    """The daemon's FAILED: ``fields`` as in ``build_wire``."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(str(fields.get("message", "")))
        self.fields = fields

    @property
    def canceled(self) -> bool:
        """Whether it was stopped on somebody's wish."""
        return self.fields.get("kind") == "canceled"


class _Channel:
    """One question and what is still to be sent on it."""

    __slots__ = ("agent", "payloads", "rest", "target", "window")

    def __init__(self) -> None:
        self.payloads: Iterator[bytes] | None = None
        self.rest = b""
        self.window = wire.WINDOW_BYTES
        self.target: Target | None = None
        #: A connection to an ssh agent.
        self.agent: Any = None


class Door:
    """One build. ``run`` gives the daemon's RESULT."""

    def __init__(self, client: Client, display: Shown, answers: Answers) -> None:
        self._client = client
        self._display = display
        self._answers = answers
        self._channels: dict[int, _Channel] = {}
        self._ready: list[int] = []
        #: Channels that are connections to ssh agents.
        self._agents: set[int] = set()
        self._result: dict[str, Any] | None = None
        self._canceled = False
        self._cancel_sent = False
        self._stream: Hijacked | None = None

    def run(self, options: dict[str, Any], *, keep: bool = False) -> dict[str, Any]:
        """Begin the build and see it through.

        With ``keep`` the connection stays open until ``close``, for the daemon keeps the
        result as long. Raises ``BuildFailed``, ``ApiError`` if the door stays shut,
        ``CliError`` and ``OSError`` for trouble on this side. Ctrl-C stops the build; a
        second one leaves.
        """
        self._stream = stream = self._client.hijack("/pierhead/build")
        decoder = wire.Decoder()
        try:
            stream.send(wire.json_frame(wire.START, 0, options))
            while self._result is None:
                try:
                    if self._canceled and not self._cancel_sent:
                        self._cancel_sent = True
                        stream.send(wire.frame(wire.CANCEL, 0))
                    self._turn(stream, decoder)
                except KeyboardInterrupt:
                    if self._canceled:
                        raise
                    self._canceled = True
            return self._result
        finally:
            self._abandon()
            if not keep or self._result is None:
                self.close()

    def cancel(self) -> None:
        """Stop the build, from another thread; ``run`` then raises ``BuildFailed``."""
        self._canceled = True

    def close(self) -> None:
        """Close the connection; safe to repeat."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _turn(self, stream: Hijacked, decoder: wire.Decoder) -> None:
        """Wait for something to do, and do it."""
        poll = select.poll()
        poll.register(stream.fileno(), _READ)
        agents = {}
        for number in self._agents:
            channel = self._channels[number]
            if channel.window > 0:
                agents[channel.agent.fileno()] = number
                poll.register(channel.agent.fileno(), _READ)
        waiting = stream.has_data() or bool(self._ready)
        found = poll.poll(0 if waiting else int(TICK_S * 1000))
        if not found and not waiting:
            self._display.refresh()
            return
        readable = {fd for fd, _ in found}
        if stream.has_data() or stream.fileno() in readable:
            data = stream.receive()
            if not data:
                raise CliError(
                    "ERROR: failed to build: the daemon closed the connection in mid-build"
                )
            for kind, number, payload in decoder.feed(data):
                self._frame(stream, kind, number, payload)
        for fd, number in agents.items():
            if fd in readable and number in self._channels:
                self._from_agent(stream, number)
        if self._ready and self._result is None:
            self._send(stream)

    def _frame(self, stream: Hijacked, kind: int, number: int, payload: bytes) -> None:
        if kind == wire.EVENTS:
            self._display.update(wire.decode(payload))
        elif kind == wire.RESULT:
            self._result = wire.decode(payload)
        elif kind == wire.FAILED:
            raise BuildFailed(wire.decode(payload))
        elif kind == wire.ASK:
            self._ask(stream, number, wire.decode(payload))
        elif kind == wire.CLOSE:
            self._end(number)
            self._answers.close(number)
        else:
            channel = self._channels.get(number)
            if channel is None:
                return
            if kind == wire.WINDOW:
                channel.window += int.from_bytes(payload[:4], "big")
                if channel.payloads is not None and number not in self._ready:
                    self._ready.append(number)
            elif kind in (wire.DATA, wire.LAST, wire.FAIL):
                self._incoming(stream, number, channel, kind, payload)

    def _ask(self, stream: Hijacked, number: int, question: dict[str, Any]) -> None:
        channel = _Channel()
        try:
            operation = question.get("op")
            if operation == "receive":
                channel.target = self._answers.receiver(int(question.get("number", 0)))
            elif operation == "ssh-connect":
                channel.agent = _connect(self._answers.agent(str(question.get("id", ""))))
            else:
                channel.payloads = self._answers.answer(number, question)
        except (Refused, OSError) as error:
            stream.send(_fail(number, error))
            return
        self._channels[number] = channel
        if channel.agent is not None:
            self._agents.add(number)
        if channel.payloads is not None:
            self._ready.append(number)

    def _incoming(
        self, stream: Hijacked, number: int, channel: _Channel, kind: int, payload: bytes
    ) -> None:
        """Data of the daemon: for an output, or for an ssh agent."""
        if channel.agent is not None:
            try:
                if payload and kind != wire.FAIL:
                    channel.agent.sendall(payload)
                if kind != wire.DATA:
                    channel.agent.shutdown(1)
            except OSError:
                self._end(number)
            return
        target = channel.target
        if target is None:
            return
        try:
            if kind == wire.FAIL:
                self._end(number)
                return
            if payload:
                target.write(payload)
            if kind == wire.LAST:
                channel.target = None
                target.finish()
                stream.send(wire.frame(wire.LAST, number))
                self._end(number)
        except OSError as error:
            stream.send(_fail(number, error))
            self._end(number)
            raise CliError(f"ERROR: failed to build: {error_text(error)}") from None

    def _send(self, stream: Hijacked) -> None:
        """One batch of what is ready, a frame of each channel in turn."""
        parts: list[bytes] = []
        size = 0
        while self._ready and size < _BATCH_BYTES:
            number = self._ready.pop(0)
            channel = self._channels.get(number)
            if channel is None or channel.payloads is None:
                continue
            data = self._next_frame(number, channel)
            parts.append(data)
            size += len(data)
            if channel.payloads is not None and channel.window > 0:
                self._ready.append(number)
        if parts:
            stream.send(b"".join(parts))

    def _next_frame(self, number: int, channel: _Channel) -> bytes:
        """The next frame of an answer; the last one ends the channel."""
        payloads = channel.payloads
        assert payloads is not None
        try:
            if not channel.rest:
                channel.rest = next(payloads, b"")
            if not channel.rest:
                channel.payloads = None
                self._end(number)
                return wire.frame(wire.LAST, number)
            size = min(len(channel.rest), wire.PAYLOAD_LIMIT_BYTES, max(channel.window, 1))
            data = channel.rest
            if size < len(data) or len(data) >= wire.CHUNK_BYTES:
                channel.rest = data[size:]
                channel.window -= size
                return wire.frame(wire.DATA, number, data[:size])
            # A short piece may be all there is: then it goes with the end.
            channel.rest = next(payloads, b"")
            channel.window -= len(data)
            if channel.rest:
                return wire.frame(wire.DATA, number, data)
            channel.payloads = None
            self._end(number)
            return wire.frame(wire.LAST, number, data)
        except (Refused, OSError, ValueError) as error:
            self._end(number)
            return _fail(number, error)

    def _from_agent(self, stream: Hijacked, number: int) -> None:
        channel = self._channels[number]
        try:
            data = channel.agent.recv(1 << 16)
        except OSError:
            data = b""
        if data:
            channel.window -= len(data)
            stream.send(wire.frame(wire.DATA, number, data))
        else:
            stream.send(wire.frame(wire.LAST, number))
            self._end(number)

    def _end(self, number: int) -> None:
        """Forget a channel, close what belongs to it."""
        channel = self._channels.pop(number, None)
        self._agents.discard(number)
        if channel is None:
            return
        if channel.target is not None:
            channel.target.abandon()
        if channel.agent is not None:
            channel.agent.close()
        close = getattr(channel.payloads, "close", None)
        if close is not None:
            close()

    def _abandon(self) -> None:
        for number in list(self._channels):
            self._end(number)


def _fail(number: int, error: Exception) -> bytes:
    if isinstance(error, Refused):
        kind, message = error.kind, error.message
    elif isinstance(error, FileNotFoundError):
        kind, message = "not_found", error_text(error)
    elif isinstance(error, OSError):
        kind, message = "invalid", error_text(error)
    else:
        kind, message = "invalid", str(error)
    return wire.json_frame(wire.FAIL, number, {"kind": kind, "message": message})


def _connect(path: str) -> Any:
    import _socket

    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    sock.connect(path)
    return sock


def stdin_blocks(head: bytes) -> Iterator[bytes]:
    """The rest of an archive on stdin, ``head`` first."""
    yield head
    while data := posix.read(0, wire.CHUNK_BYTES):
        yield data
