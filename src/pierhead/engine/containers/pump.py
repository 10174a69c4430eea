"""Copying between one client and one process, until one of them has had enough."""

from __future__ import annotations

import asyncio
import enum
from typing import Protocol

from pierhead import tasks
from pierhead.engine.containers.detach import DetachFilter
from pierhead.engine.streams import STDOUT, ClientIO


class ProcessStreams(Protocol):
    """What ``runtime.attach.ConmonAttach`` is; tests bring their own."""

    async def read(self) -> tuple[int, bytes] | None: ...

    async def write(self, data: bytes) -> None: ...

    async def close_stdin(self) -> None: ...

    def close(self) -> None: ...


class Outcome(enum.Enum):
    ENDED = "the process has closed its output"
    DETACHED = "the client typed the detach keys"
    GONE = "the client vanished"


async def pump(
    io: ClientIO,
    process: ProcessStreams,
    *,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    keys: bytes | None = None,
) -> Outcome:
    """Copy in both directions. ``keys``: detach keys to watch for (terminals only).

    The connection to the process stays open; closing it is the caller's decision.
    """
    output = tasks.spawn(_output(io, process, stdout, stderr), name="client")
    other = tasks.spawn(_input(io, process, keys) if stdin else _gone(io), name="client")
    try:
        await asyncio.wait((output, other), return_when=asyncio.FIRST_COMPLETED)
        if not output.done() and other.result() is None:
            # The client's side is closed and so is the process's stdin.
            if not stdout and not stderr:
                return Outcome.ENDED
            other = tasks.spawn(_gone(io), name="client")
            await asyncio.wait((output, other), return_when=asyncio.FIRST_COMPLETED)
        if output.done():
            return output.result()
        return other.result() or Outcome.GONE
    finally:
        output.cancel()
        other.cancel()
        await asyncio.gather(output, other, return_exceptions=True)


async def _output(io: ClientIO, process: ProcessStreams, stdout: bool, stderr: bool) -> Outcome:
    while (packet := await process.read()) is not None:
        stream, data = packet
        if stdout if stream == STDOUT else stderr:
            try:
                await io.write(stream, data)
            except ConnectionError:
                return Outcome.GONE
    return Outcome.ENDED


async def _input(io: ClientIO, process: ProcessStreams, keys: bytes | None) -> Outcome | None:
    """None: the client has closed its side and the process's stdin was closed in turn."""
    detach = DetachFilter(keys) if keys else None
    open_ = True
    while True:
        try:
            data = await io.read()
        except ConnectionError:
            return Outcome.GONE
        if not data:
            if open_:
                await process.close_stdin()
            return None
        if detach is not None:
            data, leave = detach.feed(data)
            if leave:
                return Outcome.DETACHED
        if open_ and data:
            try:
                await process.write(data)
            except ConnectionError:
                open_ = False  # the process no longer reads; its output may still come


async def _gone(io: ClientIO) -> Outcome | None:
    await io.wait_gone()
    return Outcome.GONE


async def drain(process: ProcessStreams) -> None:
    """Read and drop what is left, then close: for a client that left early."""
    try:
        while await process.read() is not None:
            pass
    finally:
        process.close()
