"""``POST /pierhead/build`` and what is around it: history, logs, failed steps, cache mounts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp.web_response import Response, StreamResponse

from pierhead import tasks
from pierhead.api.build import options as forms
from pierhead.api.build.channels import Door
from pierhead.api.call import Call
from pierhead.api.hijack import Hijacked, HijackProtocol, hijack
from pierhead.build.execute.shells import Shell
from pierhead.build.export.model import Solved
from pierhead.build.model import Event
from pierhead.client import build_wire as wire
from pierhead.errors import InvalidParameter, PierError

log = logging.getLogger(__name__)

_BATCH_EVENTS: Final = 200


async def build(call: Call) -> StreamResponse:
    """The build door of ``pier build``: see ``client/build_wire.py``."""
    protocol, _ = hijack(call.request, dict(call.headers), raw=True, multiplexed_type=False)
    try:
        with contextlib.suppress(ConnectionError):
            await _Session(call, protocol).run()
    finally:
        await protocol.finish()
    return Hijacked()


class _Session:
    """One build over a hijacked connection."""

    def __init__(self, call: Call, protocol: HijackProtocol) -> None:
        self._builds = call.engine.build
        self._protocol = protocol
        self._door = Door(protocol)
        self._events: list[Event] = []
        self._news = asyncio.Event()
        self._solved: Solved | None = None
        self._ref = ""

    async def run(self) -> None:
        """From ``START`` to ``RESULT`` or ``FAILED``. Raises ``ConnectionError``."""
        try:
            request = forms.read(await self._door.start())
        except PierError as error:
            await self._say(wire.FAILED, forms.failure(error, ""))
            return
        self._ref = request.options.ref
        self._door.has_tar = request.context_tar
        reader = tasks.spawn(self._door.read(), name="build door: reader")
        events = tasks.spawn(self._tell(), name="build door: events")
        work = tasks.spawn(tasks.outcome(self._work(request)), name="build door: build")
        try:
            await asyncio.wait({reader, work}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():  # canceled, or the client has left
                await _end(work)
            await _end(events)
            await self._flush()
            if work.cancelled():
                canceled = {"kind": "canceled", "message": "context canceled", "ref": self._ref}
                await self._say(wire.FAILED, canceled)
            elif isinstance(outcome := work.result(), Exception):
                if not isinstance(outcome, PierError | ConnectionError):
                    log.error("build failed", exc_info=outcome)
                await self._say(wire.FAILED, forms.failure(outcome, self._ref))
            else:
                await self._say(wire.RESULT, outcome)
                if self._solved is not None:
                    await asyncio.wait({reader})
        finally:
            for task in (work, events, reader):
                await _end(task)
            if self._solved is not None:
                await asyncio.shield(self._builds.release(self._solved))

    async def _work(self, request: forms.PierRequest) -> dict[str, Any]:
        options, builds = request.options, self._builds
        if request.call:
            found = await builds.describe(options, self._door, self._emit, request.call)
            return {"ref": options.ref, "described": found}
        if options.check_only:
            await builds.describe(options, self._door, self._emit, "check")
            return {"ref": options.ref, "digest": None, "images": [], "metadata": {}}
        if not request.keep:
            return forms.result(await builds.build(options, self._door, self._emit))
        solved = await builds.solve(options, self._door, self._emit)
        try:
            result = await builds.export(solved, options.outputs, self._door, self._emit)
        except BaseException as error:
            await asyncio.shield(builds.release(solved, error))
            raise
        self._solved = solved
        return forms.result(result)

    def _emit(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()

    async def _tell(self) -> None:
        """Send events as they come; what gathers meanwhile goes together."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self._news.wait()
                self._news.clear()
                await self._flush()

    async def _flush(self) -> None:
        while self._events:
            batch = self._events[:_BATCH_EVENTS]
            del self._events[:_BATCH_EVENTS]
            for payload in _payloads([forms.event(event) for event in batch]):
                await self._protocol.write(wire.frame(wire.EVENTS, 0, payload))

    async def _say(self, kind: int, fields: dict[str, Any]) -> None:
        await self._protocol.write(wire.json_frame(kind, 0, fields))


def _payloads(events: list[dict[str, Any]]) -> list[bytes]:
    payload = wire.encode(events)
    if len(payload) <= wire.PAYLOAD_LIMIT_BYTES:
        return [payload]
    if len(events) > 1:
        half = len(events) // 2
        return _payloads(events[:half]) + _payloads(events[half:])
    event = events[0]
    for name in ("data", "source"):  # all that may be long; a log of this size comes in pieces
        if len(text := event.get(name, "")) > 1:
            half = len(text) // 2
            return _payloads([{**event, name: text[:half]}]) + (
                _payloads([{**event, name: text[half:]}]) if name == "data" else []
            )
    return []


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel ``task`` and wait till it has ended, however."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})


# -- failed steps --------------------------------------------------------------------------
async def debug_list(call: Call) -> StreamResponse:
    """``GET /pierhead/build/debug``: failed steps that are kept, newest first."""
    return call.json(
        [
            {
                "id": kept.id,
                "build_ref": kept.build_ref,
                "name": kept.name,
                "exit_code": kept.exit_code,
                "failed": _stamp(kept.failed_ns),
                "expires": _stamp(kept.expires_ns),
                "args": list(kept.step.args),
                "notes": list(kept.notes),
            }
            for kept in call.engine.build.executor.kept()
        ]
    )


async def debug_forget(call: Call) -> StreamResponse:
    """``DELETE /pierhead/build/debug/{id}``."""
    await call.engine.build.executor.forget(call.name)
    return call.empty()


async def debug_shell(call: Call) -> StreamResponse:
    """``POST /pierhead/build/debug/{id}?cmd=[...]&tty=1&h=24&w=80``: hijacked, ``DEBUG_*``."""
    command = _command(call.text("cmd"))
    size = (call.integer("h", 0) or 0, call.integer("w", 0) or 0)
    if not all(0 <= value < 1 << 16 for value in size):
        raise InvalidParameter("h and w are a terminal's size")
    shell = await call.engine.build.executor.debug_shell(
        call.name, command, tty=call.flag("tty"), size=size
    )
    try:
        protocol, _ = hijack(call.request, dict(call.headers), raw=True, multiplexed_type=False)
        try:
            with contextlib.suppress(ConnectionError):
                await _converse(shell, protocol)
        finally:
            await protocol.finish()
    finally:
        await asyncio.shield(shell.close())
    return Hijacked()


async def _converse(shell: Shell, protocol: HijackProtocol) -> None:
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
            await _end(task)


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


def _command(text: str) -> list[str]:
    if not text:
        return []
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidParameter(f"cmd is a JSON list of words: {error}") from error


# -- history -------------------------------------------------------------------------------
async def history(call: Call) -> StreamResponse:
    """``GET /pierhead/build/history``: records without steps and texts, newest first."""
    short = []
    for record in call.engine.build.history():
        found = msgspec.to_builtins(record)
        steps = found.pop("steps")
        for name in ("dockerfile", "materials"):
            found.pop(name, None)
        found["warnings"] = len(found["warnings"])
        found["total_steps"] = len(steps)
        found["completed_steps"] = sum(1 for step in steps if step["finished_ns"])
        found["cached_steps"] = sum(1 for step in steps if step["cached"])
        short.append(found)
    return _json(call, short)


async def history_record(call: Call) -> StreamResponse:
    """``GET /pierhead/build/history/{ref}``: everything of one build."""
    return _json(call, msgspec.to_builtins(call.engine.build.history_record(call.name)))


async def history_logs(call: Call) -> StreamResponse:
    """``GET /pierhead/build/history/{ref}/logs[?step=ID]``: text.

    With ``step`` that step's output, byte for byte; else JSON: ``[{"step", "data"}, ...]``.
    """
    logs = call.engine.build.logs(call.name)
    step = call.text("step")
    if step:
        data = b"".join(text for found, text in logs if found == step)
        return Response(body=data, content_type="text/plain", charset="utf-8")
    found = [{"step": one, "data": text.decode("utf-8", "surrogateescape")} for one, text in logs]
    return _json(call, found)


async def history_remove(call: Call) -> StreamResponse:
    """``DELETE /pierhead/build/history/{ref}``, or without a ref all that have ended."""
    ref = call.engine.build.history_record(call.name).ref if call.name else ""
    return call.json({"removed": await call.engine.build.history_remove(ref)})


# -- cache mounts --------------------------------------------------------------------------
async def mounts(call: Call) -> StreamResponse:
    """``GET /pierhead/build/mounts``: directories of ``RUN --mount=type=cache``."""
    kept = call.engine.build.executor.mounts
    await kept.measure()
    return call.json([msgspec.to_builtins(mount) for mount in kept.list()])


async def mount_export(call: Call) -> StreamResponse:
    """``GET /pierhead/build/mounts/{id}``: its files as a tar."""
    tar = call.engine.build.executor.mounts.export(call.name)
    return await call.stream_bytes(tar, "application/x-tar")


async def mount_remove(call: Call) -> StreamResponse:
    """``DELETE /pierhead/build/mounts/{id}``."""
    freed = await call.engine.build.executor.mounts.remove([call.name])
    return call.json({"SpaceReclaimed": freed})


def _json(call: Call, value: Any) -> StreamResponse:
    """JSON of what was given by Dockerfiles: parts of it may be no UTF-8."""
    return call.raw_json(json.dumps(value).encode() + b"\n")


def _stamp(moment_ns: int) -> str:
    return datetime.fromtimestamp(moment_ns / 1e9, UTC).isoformat(timespec="seconds")
