"""Attach, exec, logs and stats."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from aiohttp.http_websocket import WSMsgType
from aiohttp.web_exceptions import HTTPException
from aiohttp.web_response import StreamResponse
from aiohttp.web_ws import WebSocketResponse

from pierhead.api import shape
from pierhead.api.call import Call, closing
from pierhead.api.codec import encode
from pierhead.api.hijack import MULTIPLEXED, RAW, Hijacked, frame, hijack
from pierhead.engine.config import ApiStruct
from pierhead.engine.containers.model import ExecConfig
from pierhead.engine.streams import ClientIO
from pierhead.errors import InvalidParameter, PierError

log = logging.getLogger(__name__)


class ExecStart(ApiStruct):
    """Body of ``POST /exec/{id}/start``."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None


async def attach(call: Call) -> StreamResponse:
    session = call.engine.containers.prepare_attach(
        call.name,
        stdin=call.flag("stdin"),
        stdout=call.flag("stdout"),
        stderr=call.flag("stderr"),
        stream=call.flag("stream"),
        logs=call.flag("logs"),
        detach_keys=call.text("detachKeys") or None,
    )
    try:
        protocol, io = hijack(
            call.request, dict(call.headers), raw=session.tty, multiplexed_type=call.api >= 42
        )
    except BaseException:
        session.cancel()
        raise
    try:
        await _run(session.run(io), "attach", call.name)
    finally:
        await protocol.finish()
    return Hijacked()


async def _run(session: object, what: str, name: str) -> None:
    """Run a hijacked session: its answer is given, so an error can only be logged."""
    try:
        await session  # type: ignore[misc]
    except ConnectionError:
        log.debug("client gone", extra={"stream": what, "ref": name})
    except PierError as error:
        log.warning("stream ended", extra={"stream": what, "ref": name, "error": error.message})
    except Exception:
        log.exception("stream failed", extra={"stream": what, "ref": name})


class WebSocketIO:
    """``ClientIO`` on a websocket: never framed, the client can't tell the streams apart."""

    def __init__(self, socket: WebSocketResponse, *, binary: bool) -> None:
        self._socket = socket
        self._binary = binary
        self._gone = asyncio.Event()

    async def read(self) -> bytes:
        if self._gone.is_set():
            return b""
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is WSMsgType.TEXT:
            return str(message.data).encode()
        self._gone.set()
        if message.type is WSMsgType.ERROR:
            raise ConnectionResetError("the client has gone")
        return b""

    async def write(self, stream: int, data: bytes) -> None:
        if self._binary:
            await self._socket.send_bytes(data)
        else:
            await self._socket.send_str(data.decode(errors="replace"))

    async def wait_gone(self) -> None:
        await self._gone.wait()


async def attach_websocket(call: Call) -> StreamResponse:
    everything = call.api < 42  # older versions didn't look at the parameters
    session = call.engine.containers.prepare_attach(
        call.name,
        stdin=everything or call.flag("stdin"),
        stdout=everything or call.flag("stdout"),
        stderr=everything or call.flag("stderr"),
        stream=call.flag("stream"),
        logs=call.flag("logs"),
        detach_keys=call.text("detachKeys") or None,
    )
    socket = WebSocketResponse()
    socket.headers.update(call.headers)
    try:
        await socket.prepare(call.request)
    except (HTTPException, ValueError) as error:
        session.cancel()
        raise InvalidParameter(
            "not a websocket handshake: use /containers/{id}/attach instead"
        ) from error
    except BaseException:
        session.cancel()
        raise
    io: ClientIO = WebSocketIO(socket, binary=call.api >= 28)
    try:
        await _run(session.run(io), "attach/ws", call.name)
    finally:
        with contextlib.suppress(ConnectionError):
            await socket.close()
    return socket


async def logs(call: Call) -> StreamResponse:
    stdout, stderr = call.flag("stdout"), call.flag("stderr")
    if not stdout and not stderr:
        raise InvalidParameter(
            "Bad parameters: you must choose at least one stream: stdout=1 or stderr=1"
        )
    tail_text = call.text("tail")
    tail = int(tail_text) if tail_text.isascii() and tail_text.isdigit() else None
    containers = call.engine.containers
    container = containers.get(call.name)
    source = containers.log_batches(
        call.name,
        stdout=stdout,
        stderr=stderr,
        since_ns=call.time_ns("since"),
        until_ns=call.time_ns("until") if call.api >= 35 else 0,
        tail=tail,
        timestamps=call.flag("timestamps"),
        follow=call.flag("follow"),
        details=call.flag("details"),
    )
    raw = container.tty
    response = await call.start_stream(MULTIPLEXED if not raw and call.api >= 42 else RAW)
    async with closing(source):
        async for lines in source:
            # one frame a line: clients take frames for messages
            pieces = [data if raw else frame(stream, data) for stream, data in lines]
            await response.write(b"".join(pieces))
    return response


async def stats(call: Call) -> StreamResponse:
    stream = call.flag("stream", True)
    source = call.engine.containers.stats(
        call.name, stream=stream, one_shot=call.api >= 41 and call.flag("one-shot")
    )
    async with closing(source):
        if not stream:
            return call.json(shape.stats(await anext(source, {}), call.api))
        response = await call.start_stream("application/json")
        async for item in source:
            await response.write(encode(shape.stats(item, call.api)))
    return response


async def exec_create(call: Call) -> StreamResponse:
    body: ExecConfig = call.body
    if not body.cmd:
        raise InvalidParameter("No exec command specified")
    if call.api < 42:
        body.console_size = None
    exec_id = await call.engine.containers.exec_create(call.name, body)
    return call.json({"Id": exec_id}, 201)


async def exec_start(call: Call) -> StreamResponse:
    body: ExecStart = call.body
    size: tuple[int, int] | None = None
    if body.console_size is not None and body.tty and call.api >= 42:
        if len(body.console_size) != 2:
            raise InvalidParameter("ConsoleSize: expected two numbers, height and width")
        size = (body.console_size[0], body.console_size[1])
    session = call.engine.containers.prepare_exec(
        call.name, detach=body.detach, tty=body.tty, console_size=size
    )
    if body.detach:
        await session.run_detached()
        return call.empty(200)
    protocol, io = hijack(
        call.request, dict(call.headers), raw=body.tty, multiplexed_type=call.api >= 42
    )
    try:
        await _run(session.run(io), "exec", call.name)
    finally:
        await protocol.finish()
    return Hijacked()


async def exec_inspect(call: Call) -> StreamResponse:
    return call.json(call.engine.containers.exec_inspect(call.name))


async def exec_resize(call: Call) -> StreamResponse:
    height, width = call.dimension("h", "height"), call.dimension("w", "width")
    await call.engine.containers.exec_resize(call.name, height, width)
    return call.empty(200)
