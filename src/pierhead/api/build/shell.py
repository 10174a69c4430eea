"""A shell in a failed build step: both directions over a hijacked connection, in frames."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable

from pierhead import tasks
from pierhead.api.build.session import end
from pierhead.api.hijack import HijackProtocol
from pierhead.build.execute.shells import Shell
from pierhead.client import build_wire as wire

log = logging.getLogger(__name__)


async def converse(shell: Shell, protocol: HijackProtocol) -> None:
    """Carry both directions until the command has ended or the client has left."""
    output = tasks.spawn(_quietly(_output(shell, protocol)), name="debug shell: output")
    incoming = tasks.spawn(_quietly(_input(shell, protocol)), name="debug shell: input")
    gone = tasks.spawn(protocol.wait_gone(), name="debug shell: client")
    try:
        await asyncio.wait({output, gone}, return_when=asyncio.FIRST_COMPLETED)
        if output.done():
            code = await shell.wait()
            await protocol.write(wire.json_frame(wire.EXITED, 0, {"exit_code": code}))
    finally:
        for task in (output, incoming, gone):
            await end(task)


async def _quietly(work: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionError):
        await work


async def _output(shell: Shell, protocol: HijackProtocol) -> None:
    while data := await shell.read():
        await protocol.write(wire.frames(wire.DEBUG_OUTPUT, data))


async def _input(shell: Shell, protocol: HijackProtocol) -> None:
    decoder = wire.Decoder()
    try:
        while data := await protocol.read():
            for kind, channel, payload in decoder.feed(data):
                await _given(shell, kind, channel, payload)
    except wire.WireError as error:
        log.debug("broken debug shell", extra={"error": str(error)})
    await shell.close_stdin()


async def _given(shell: Shell, kind: int, channel: int, payload: bytes) -> None:
    if kind == wire.RESIZE:
        match wire.decode(payload):
            case [int(height), int(width)] if 0 <= height < 1 << 16 and 0 <= width < 1 << 16:
                await shell.resize(height, width)
    elif channel == wire.DEBUG_INPUT and kind in (wire.DATA, wire.LAST):
        if payload:
            await shell.write(payload)
        if kind == wire.LAST:
            await shell.close_stdin()
