"""``ADD https://…``: one file, downloaded once as long as it doesn't change."""

from __future__ import annotations

import asyncio
import calendar
import email.utils
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from pierhead.build.files.entries import Entry
from pierhead.build.files.held import Held
from pierhead.build.files.layers import Layers
from pierhead.build.files.pace import Paced, Progress
from pierhead.build.files.stored import NUMBER, Stored
from pierhead.errors import (
    Forbidden,
    Internal,
    InvalidParameter,
    NotFound,
    Unauthorized,
    Unavailable,
)
from pierhead.oci.digest import PREFIX, Digest, parse_digest

if TYPE_CHECKING:
    import aiohttp

UNNAMED: Final = "__unnamed__"
"""The name of what has none in its URL, as BuildKit's."""
_KIND: Final = "http"
_CHUNK: Final = 1 << 20
_KINDS: Final = {401: Unauthorized, 403: Forbidden, 404: NotFound, 410: NotFound}


async def fetch(
    url: str, checksum: str, stored: Stored, layers: Layers, progress: Progress
) -> tuple[Held, Digest]:
    """The file behind ``url`` and its digest: see ``FileService.http``."""
    wanted = parse_digest(checksum) if checksum else None
    key = stored.key(_KIND, url)
    async with stored.lock(key):
        facts = stored.facts(key)
        if facts is not None and wanted is not None and facts["digest"] == wanted:
            held = stored.open(_KIND, key, what="download", single=True)
            if held is not None:
                return held, wanted
        async with _get(url, facts) as answer:
            if answer.status == 304 and facts is not None:
                held = stored.open(_KIND, key, what="download", single=True)
                if held is None:
                    await stored.remove(_KIND, key)
                    raise Unavailable(f"{_shown(url)}: what was kept of it is gone, try again")
                digest = Digest(facts["digest"])
            else:
                held, digest = await _take(url, answer, wanted, key, stored, layers, progress)
    if wanted is not None and digest != wanted:
        held.close()
        raise InvalidParameter(f"digest mismatch {digest}: {wanted}")
    return held, digest


async def _take(
    url: str, answer: aiohttp.ClientResponse, wanted: Digest | None, key: str, stored: Stored,
    layers: Layers, progress: Progress,
) -> tuple[Held, Digest]:  # fmt: skip
    fd = stored.new_file(_KIND, key)
    try:
        total = answer.content_length or 0
        if total > layers.room():
            raise InvalidParameter(f"{_shown(url)}: {total} bytes are more than the disk can take")
        hasher = hashlib.sha256()
        tell = Paced(progress)
        size = 0
        async for chunk in _chunks(answer):
            await asyncio.to_thread(_keep, fd, chunk, size, hasher)
            size += len(chunk)
            if not layers.room():
                raise InvalidParameter(f"{_shown(url)}: it is more than the disk can take")
            tell("downloading", size, total)
        digest = Digest(PREFIX + hasher.hexdigest())
        if wanted is not None and digest != wanted:
            raise InvalidParameter(f"digest mismatch {digest}: {wanted}")
        entry = Entry(
            file_name(url).encode("utf-8", "surrogateescape"),
            stat.S_IFREG | 0o600,
            size=size,
            mtime_ns=_time(answer.headers.get("Last-Modified", "")) * 1_000_000_000,
            digest=hasher.digest(),
            pack=NUMBER,
        )
        facts = {
            "name": _shown(url),
            "digest": digest,
            "etag": answer.headers.get("ETag", ""),
            "last_modified": answer.headers.get("Last-Modified", ""),
        }
        await stored.put(_KIND, key, fd, [entry], facts)
    finally:
        os.close(fd)
    held = stored.open(_KIND, key, what="download", single=True)
    if held is None:
        raise Internal(f"{_shown(url)}: what was downloaded is gone")
    return held, digest


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """A megabyte at a time: a thread for each small piece would cost more than the piece."""
    pending: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        pending.append(chunk)
        size += len(chunk)
        if size >= _CHUNK:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)


def _keep(fd: int, chunk: bytes, offset: int, hasher: Any) -> None:
    hasher.update(chunk)
    view = memoryview(chunk)
    while view:
        count = os.pwrite(fd, view, offset)
        offset += count
        view = view[count:]


@asynccontextmanager
async def _get(url: str, facts: dict[str, Any] | None) -> AsyncIterator[aiohttp.ClientResponse]:
    import aiohttp

    headers = {"Accept-Encoding": "identity"}
    if facts is not None:
        if facts.get("etag"):
            headers["If-None-Match"] = facts["etag"]
        elif facts.get("last_modified"):
            headers["If-Modified-Since"] = facts["last_modified"]
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=120)
    shown = _shown(url)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False) as http,
            http.get(url, headers=headers) as response,
        ):
            if response.status >= 400 or response.status not in (200, 203, 304):
                words = f"failed to download {shown}: invalid response status {response.status}"
                raise _KINDS.get(response.status, InvalidParameter)(words)
            yield response
    except (aiohttp.InvalidURL, ValueError) as error:
        raise InvalidParameter(f"invalid URL {shown!r}") from error
    except (TimeoutError, aiohttp.ClientError) as error:
        raise Unavailable(f"failed to download {shown}: {error or 'timed out'}") from error


def file_name(url: str) -> str:
    """The last part of the URL's path."""
    name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    return name if name not in ("", ".", "..") and "/" not in name and "\0" not in name else UNNAMED


def _time(text: str) -> int:
    """Seconds of an HTTP date; 0 if there is none."""
    parsed = email.utils.parsedate_tz(text) if text else None
    return max(calendar.timegm(parsed[:6]), 0) if parsed else 0


def _shown(url: str) -> str:
    """Without a password."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else url
