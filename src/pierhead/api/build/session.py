"""One build over pier's own door, from ``START`` to ``RESULT`` or ``FAILED``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

from pierhead import tasks
from pierhead.api.build import options as forms
from pierhead.api.build.channels import Door
from pierhead.api.hijack import HijackProtocol
from pierhead.build.export.model import Solved
from pierhead.build.model import Event, StepDone
from pierhead.build.service import BuildService
from pierhead.client import build_wire as wire
from pierhead.errors import PierError

log = logging.getLogger(__name__)

_BATCH_EVENTS: Final = 200
_TEXT_LIMIT: Final = 32 << 10  # characters; each is at most 12 bytes of JSON


class Session:
    """One build over a hijacked connection."""

    def __init__(self, builds: BuildService, protocol: HijackProtocol) -> None:
        self._builds = builds
        self._protocol = protocol
        self._door = Door(protocol)
        self._events: list[Event] = []
        self._news = asyncio.Event()
        self._over = False  # no more events come
        self._solved: Solved | None = None
        self._ref = ""
        self._failed = ""  # the step that did

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
                await end(work)
            self._over = True
            self._news.set()
            await events
            if (fault := self._door.fault) is not None:
                await self._say(wire.FAILED, forms.failure(fault, self._ref))
            elif work.cancelled():
                canceled = {"kind": "canceled", "message": "context canceled", "ref": self._ref}
                await self._say(wire.FAILED, canceled)
            elif isinstance(outcome := work.result(), Exception):
                if not isinstance(outcome, PierError | ConnectionError):
                    log.error("build failed", exc_info=outcome)
                failure = forms.failure(outcome, self._ref)
                if self._failed:
                    failure["step"] = self._failed
                await self._say(wire.FAILED, failure)
            else:
                await self._say(wire.RESULT, outcome)
                if self._solved is not None:
                    await asyncio.wait({reader})
        finally:
            for task in (work, events, reader):
                await end(task)
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
        if isinstance(event, StepDone) and event.error and not event.canceled:
            self._failed = event.step
        self._events.append(event)
        self._news.set()

    async def _tell(self) -> None:
        """Send events as they come; what gathers meanwhile goes together."""
        with contextlib.suppress(ConnectionError):
            while self._events or not self._over:
                await self._news.wait()
                batch = self._events[:_BATCH_EVENTS]
                del self._events[:_BATCH_EVENTS]
                if not self._events and not self._over:
                    self._news.clear()
                for payload in payloads([forms.event(event) for event in batch]):
                    await self._protocol.write(wire.frame(wire.EVENTS, 0, payload))

    async def _say(self, kind: int, fields: dict[str, Any]) -> None:
        await self._protocol.write(wire.frame(kind, 0, fitting(fields)))


def fitting(fields: dict[str, Any]) -> bytes:
    """``RESULT`` or ``FAILED`` as JSON that a frame holds: first goes what quotes Dockerfiles."""
    payload = wire.encode(fields)
    if len(payload) > wire.PAYLOAD_LIMIT_BYTES:
        warnings = [{**one, "source": ""} for one in fields.get("warnings", ())]
        fields = {**fields, "source": "", "lines": [], "warnings": warnings}
        payload = wire.encode(_cut(fields))
    if len(payload) > wire.PAYLOAD_LIMIT_BYTES:
        payload = wire.encode({**_cut(fields), "warnings": [], "metadata": {}, "described": None})
    return payload


def _cut(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value[:_TEXT_LIMIT] if isinstance(value, str) else value
        for key, value in fields.items()
    }


def payloads(events: list[dict[str, Any]]) -> list[bytes]:
    """Events as JSON lists, each small enough for a frame.

    A long log comes in pieces; of other long texts (a Dockerfile that a warning quotes) only
    the beginning.
    """
    payload = wire.encode(events)
    if not events or len(payload) <= wire.PAYLOAD_LIMIT_BYTES:
        return [payload] if events else []
    if len(events) > 1:
        half = len(events) // 2
        return payloads(events[:half]) + payloads(events[half:])
    [event] = events
    half = len(text := event.get("data", "")) // 2
    if half:
        return payloads([{**event, "data": text[:half]}, {**event, "data": text[half:]}])
    return [wire.encode([_cut(event)])]


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel ``task`` and wait till it has ended, however."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
