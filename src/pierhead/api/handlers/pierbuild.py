"""``POST /pierhead/build`` and what is around it: history, logs, failed steps, cache mounts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp.web_response import Response, StreamResponse

from pierhead.api.call import Call
from pierhead.api.hijack import Hijacked, hijack
from pierhead.errors import InvalidParameter, NotFound


async def build(call: Call) -> StreamResponse:
    """The build door of ``pier build``: see ``client/build_wire.py``."""
    # Imported when somebody builds: an idle daemon has no use for it.
    from pierhead.api.build.session import Session

    protocol, _ = hijack(call.request, dict(call.headers), raw=True, multiplexed_type=False)
    try:
        with contextlib.suppress(ConnectionError):
            await Session(call.engine.build, protocol).run()
    finally:
        await protocol.finish()
    return Hijacked()


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
    from pierhead.api.build.shell import converse

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
                await converse(shell, protocol)
        finally:
            await protocol.finish()
    finally:
        await asyncio.shield(shell.close())
    return Hijacked()


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
    kept = call.engine.build.executor.mounts
    if all(mount.id != call.name for mount in kept.list()):
        raise NotFound(f"no such cache mount: {call.name}")
    freed = await kept.remove([call.name])
    return call.json({"SpaceReclaimed": freed})


def _json(call: Call, value: Any) -> StreamResponse:
    """JSON of what was given by Dockerfiles: parts of it may be no UTF-8."""
    return call.raw_json(json.dumps(value).encode() + b"\n")


def _stamp(moment_ns: int) -> str:
    return datetime.fromtimestamp(moment_ns / 1e9, UTC).isoformat(timespec="seconds")
