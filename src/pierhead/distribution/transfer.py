"""A blob's bytes down or up, across broken connections: the loops around single requests."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pierhead.distribution.backoff import PAUSES_S, pause_s
from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.connection import Connection
from pierhead.distribution.failures import TransportError, failed
from pierhead.errors import InvalidParameter, PierError
from pierhead.oci.digest import Digest
from pierhead.oci.manifest import Descriptor

log = logging.getLogger(__name__)

Write = Callable[[bytes], Awaitable[None]]
Progress = Callable[[int], None]
"""Called with the bytes done so far, those before ``offset`` included."""
Waiting = Callable[[int], None]
"""Called each second of a pause before the next attempt, with the seconds left."""
Source = Callable[[int], AsyncIterator[bytes]]
"""Opens a blob to upload from an offset; may be asked again after a broken connection."""

HEADWAY_BYTES: Final = 1 << 18
"""So much since the last failure makes it forgotten: a bad line is not a bad registry."""
_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_UPLOADED: Final = re.compile(r"(?:bytes=)?(\d{1,18})-(\d{1,18})")
_PIECE_BYTES: Final = 1 << 20
WHOLE_BYTES: Final = 1 << 20
"""Blobs up to this length go in one request instead of two."""


@dataclass(frozen=True, slots=True)
class BlobBody:
    """A blob's bytes from ``offset`` on. ``size_bytes`` is the whole blob's, if known."""

    size_bytes: int | None
    offset: int
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def open_blob(
    connection: Connection, url: str, scopes: tuple[str, ...], offset: int
) -> AsyncIterator[BlobBody]:
    """One GET. ``BlobBody.offset`` is 0 where the registry knows no ranges."""
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    request = connection.send("GET", url, scopes=scopes, headers=headers, checked=True)
    async with request as answer:
        if answer.status != 206:
            yield BlobBody(answer.length, 0, answer.chunks())
            return
        given = answer.headers.get("Content-Range", "")
        match = _RANGE.fullmatch(given.strip())
        if match is None or int(match[1]) != offset:
            why = f"could not use Content-Range header: {given[:100]!r} for offset {offset}"
            raise failed("GET", url, why, reached=True, passing=False)
        size = None if match[3] == "*" else int(match[3])
        yield BlobBody(size, offset, answer.chunks())


class Attempts:
    """Counts the failures of one transfer and pauses between its tries."""

    def __init__(
        self,
        limit: int,
        on_wait: Waiting | None,
        pauses_s: Sequence[float] = PAUSES_S,
        *,
        start: int = 0,
    ) -> None:
        self._limit = limit
        self._on_wait = on_wait
        self._pauses_s = pauses_s
        self._failures = 0
        self._mark = start

    async def failed(self, error: PierError, position: int, *, again: bool = False) -> None:
        """Wait before the next try; raise ``error`` if there should be none.

        ``again``: a further try makes sense although the error isn't one that passes.
        """
        headway = position - self._mark >= HEADWAY_BYTES
        self._mark = position
        self._failures = 0 if headway else self._failures + 1
        if self._failures >= self._limit or not (again or passing(error)):
            raise error
        asked = error.retry_after_s if isinstance(error, RegistryError) else None
        seconds = pause_s(self._failures, asked, self._pauses_s)
        if seconds is None:
            raise error
        log.info("transfer broke off, trying again", extra={"error": str(error), "in_s": seconds})
        await wait(seconds, self._on_wait)


def passing(error: PierError) -> bool:
    """Whether a later try may end better."""
    return isinstance(error, RegistryError | TransportError) and error.passing


async def wait(seconds: float, on_wait: Waiting | None) -> None:
    """Sleep, telling the seconds left each second."""
    left = seconds
    while left > 0:
        if on_wait is not None:
            on_wait(max(1, round(left)))
        step = min(1.0, left)
        await asyncio.sleep(step)
        left -= step


async def download(
    connections: Callable[[], list[Connection]],
    path: str,
    scopes: tuple[str, ...],
    descriptor: Descriptor,
    write: Write,
    *,
    offset: int,
    attempts: Attempts,
    on_progress: Progress | None,
) -> None:
    """See ``Registry.download``. ``connections`` gives those to try, in order."""
    size = descriptor.size
    position = offset
    if position > size:
        raise InvalidParameter(f"blob {descriptor.digest} has {size} bytes, not {position}")
    sources = [(connection, connection.url(path)) for connection in connections()]
    foreign = [
        (sources[-1][0], url)
        for url in descriptor.urls or ()
        if url.startswith(("http:", "https:"))
    ]
    tried = 0
    while True:
        connection, url = sources[0]
        before = position
        try:
            async with open_blob(connection, url, scopes, position) as body:
                if body.size_bytes is not None and body.size_bytes != size:
                    raise _wrong_size(descriptor, body.size_bytes)
                skip = position - body.offset
                async for chunk in body.chunks:
                    if skip:
                        dropped = min(skip, len(chunk))
                        skip -= dropped
                        chunk = chunk[dropped:]
                        if not chunk:
                            continue
                    if position + len(chunk) > size:
                        raise _wrong_size(descriptor, None)
                    await write(chunk)
                    position += len(chunk)
                    if on_progress is not None:
                        on_progress(position)
            if position == size:
                return
            raise failed("GET", url, "unexpected EOF", reached=True, passing=True)
        except (RegistryError, TransportError, _WrongSize) as error:
            if position == size and isinstance(error, TransportError):
                return  # how the connection ended is no concern any more
            log.debug("download failed", extra={"url": url, "error": str(error)})
            if len(sources) == 1 and foreign and getattr(error, "status", 0) in (403, 404):
                sources += foreign
                foreign = []
            if len(sources) > 1 and not passing(error):
                _mark_dead(connection, url, error)
                del sources[0]
                tried = 0
                continue
            if len(sources) > 1 and position == before:
                # A mirror may have its bad hour: the next source, before any pause.
                sources.append(sources.pop(0))
                tried += 1
                if tried < len(sources):
                    continue
            tried = 0
            await attempts.failed(error, position)


def _mark_dead(connection: Connection, url: str, error: PierError) -> None:
    own = url.startswith(connection.endpoint.url)
    if own and isinstance(error, TransportError) and not error.reached:
        connection.dead = True


class _WrongSize(InvalidParameter):
    """Not what the manifest promised: nothing to try again."""

    kind = "invalid"


def _wrong_size(descriptor: Descriptor, given: int | None) -> PierError:
    what = "more" if given is None else str(given)
    return _WrongSize(
        f"filesystem layer verification failed for digest {descriptor.digest}: "
        f"the registry sends {what} bytes instead of {descriptor.size}"
    )


async def upload(
    connection: Connection,
    repo: str,
    scopes: tuple[str, ...],
    location: str | None,
    digest: Digest | Callable[[], Digest],
    size_bytes: int | None,
    source: Source,
    *,
    attempts: Attempts,
    commit_s: float,
    stall_s: float,
    on_progress: Progress | None,
) -> None:
    """See ``Registry.upload``. ``location`` is an upload that was begun already."""
    position = 0
    complete = False
    while True:
        sender: _Sender | None = None
        try:
            if location is None:
                location = await begin(connection, repo, scopes)
                position, complete = 0, False
            sender = _Sender(source, position, size_bytes, stall_s, commit_s, on_progress)
            if size_bytes is not None and size_bytes <= WHOLE_BYTES and not callable(digest):
                await _commit(connection, location, scopes, digest, commit_s, sender)
                return
            if not complete:
                location = await _patch(connection, location, scopes, sender)
                position, complete = sender.position, True
            final = digest() if callable(digest) else digest
            await _commit(connection, location, scopes, final, commit_s, None)
            return
        except (RegistryError, TransportError) as error:
            if sender is not None and sender.broken is not None:
                raise sender.broken from None
            # An upload that the registry forgot, or of which it knows another length: from
            # where it says, or from the start, but not for ever.
            forgotten = isinstance(error, RegistryError) and error.status in (404, 416)
            await attempts.failed(error, position, again=forgotten and location is not None)
            found = await _progress_of(connection, location, scopes)
            location, at = found if found else (None, 0)
            complete = complete and at == position
            position = at


async def begin(connection: Connection, repo: str, scopes: tuple[str, ...]) -> str:
    """Start an upload; the URL to send to."""
    url = connection.url(f"/v2/{repo}/blobs/uploads/")
    async with connection.send(
        "POST", url, scopes=scopes, headers={"Content-Length": "0"}, body=b""
    ) as answer:
        return location_of(connection, answer.url, answer.headers.get("Location", ""))


def location_of(connection: Connection, base: str, location: str) -> str:
    if not location:
        raise failed("POST", base, "missing Location header", reached=True, passing=False)
    return connection.resolve(base, location)


class _Sender:
    """The body of one PATCH: counts what went out, notices when nothing does."""

    def __init__(
        self,
        source: Source,
        start: int,
        size_bytes: int | None,
        stall_s: float,
        commit_s: float,
        on_progress: Progress | None,
    ) -> None:
        self.start = self.position = start
        self.size_bytes = size_bytes
        self._source = source
        self.stall_s = stall_s
        self.commit_s = commit_s
        self._on_progress = on_progress
        self.guard: asyncio.Timeout | None = None
        self.broken: Exception | None = None
        """What the source raised; the HTTP client makes a failed request of it."""

    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/octet-stream"}
        if self.size_bytes is not None:
            headers["Content-Length"] = str(self.size_bytes - self.start)
            if self.start:
                headers["Content-Range"] = f"{self.start}-{self.size_bytes - 1}"
        return headers

    async def body(self) -> AsyncIterator[bytes]:
        self.position = self.start
        loop = asyncio.get_running_loop()
        chunks = self._source(self.start)
        while True:
            try:
                chunk = await anext(chunks, None)
            except Exception as error:
                self.broken = error
                raise
            if chunk is None:
                break
            self.position += len(chunk)
            if self.guard is not None:
                self.guard.reschedule(loop.time() + self.stall_s)
            yield chunk
            if self._on_progress is not None:
                self._on_progress(self.position)
        if self.guard is not None:
            self.guard.reschedule(loop.time() + self.commit_s)


async def _patch(
    connection: Connection, location: str, scopes: tuple[str, ...], sender: _Sender
) -> str:
    """Send the rest of the blob; the URL for what comes next."""
    async with _guarded("PATCH", location, sender):
        async with connection.send(
            "PATCH",
            location,
            scopes=scopes,
            headers=sender.headers(),
            body=sender.body,
            read_s=sender.commit_s,
        ) as answer:
            return location_of(connection, answer.url, answer.headers.get("Location", ""))


@asynccontextmanager
async def _guarded(method: str, url: str, sender: _Sender) -> AsyncIterator[None]:
    """Bound the time in which the other side takes nothing."""
    try:
        async with asyncio.timeout(sender.commit_s) as guard:
            sender.guard = guard
            yield
    except TimeoutError as error:
        raise failed(method, url, "write: i/o timeout", reached=True, passing=True) from error
    finally:
        sender.guard = None


async def _commit(
    connection: Connection,
    location: str,
    scopes: tuple[str, ...],
    digest: Digest,
    commit_s: float,
    sender: _Sender | None,
) -> None:
    """End the upload, with the whole blob by ``sender`` or with nothing more."""
    separator = "&" if "?" in location else "?"
    url = f"{location}{separator}digest={digest.replace(':', '%3A')}"
    if sender is None:
        headers, body = {"Content-Length": "0"}, b""
        async with connection.send(
            "PUT", url, scopes=scopes, headers=headers, body=body, read_s=commit_s
        ):
            return
    async with _guarded("PUT", url, sender):
        async with connection.send(
            "PUT",
            url,
            scopes=scopes,
            headers=sender.headers(),
            body=sender.body,
            read_s=commit_s,
        ):
            return


async def _progress_of(
    connection: Connection, location: str | None, scopes: tuple[str, ...]
) -> tuple[str, int] | None:
    """Where an upload that broke off can go on; ``None`` if it can't."""
    if location is None:
        return None
    try:
        async with connection.send("GET", location, scopes=scopes) as answer:
            match = _UPLOADED.fullmatch(answer.headers.get("Range", "").strip())
            # "0-0" is what registries say for one byte, and for none.
            if match is None or int(match[1]) != 0 or int(match[2]) == 0:
                return None
            given = answer.headers.get("Location", "")
            where = connection.resolve(answer.url, given) if given else location
            return where, int(match[2]) + 1
    except (RegistryError, TransportError):
        return None


def file_source(path: Path | str, start: int = 0, length: int | None = None) -> Source:
    """A ``Source`` of a file, or of ``length`` bytes of it from ``start`` on."""

    async def read(offset: int) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(open, path, "rb", buffering=0)
        try:
            file.seek(start + offset)
            left = None if length is None else length - offset
            while left is None or left > 0:
                wanted = _PIECE_BYTES if left is None else min(_PIECE_BYTES, left)
                chunk = await asyncio.to_thread(file.read, wanted)
                if not chunk:
                    return
                if left is not None:
                    left -= len(chunk)
                yield chunk
        finally:
            file.close()

    return read
