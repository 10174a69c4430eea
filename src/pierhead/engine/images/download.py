"""Fetching an import's tar from a URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from pierhead.errors import InvalidParameter, Unavailable

_CHUNK: Final = 256 << 10


@asynccontextmanager
async def download(url: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """The body of ``url`` in chunks; a URL without scheme is http, as Docker has it.

    Raises ``InvalidParameter`` for what isn't there, ``Unavailable`` for a broken connection.
    """
    if "://" not in url:
        url = f"http://{url}"
    # Here, because at import it would load the HTTP client: see api/lean.py.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=120)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False) as http,
            http.get(url) as response,
        ):
            if response.status >= 400:
                raise InvalidParameter(
                    f"failed to download {url}: Got HTTP status code >= 400: "
                    f"{response.status} {response.reason}"
                )
            yield response.content.iter_chunked(_CHUNK)
    except aiohttp.InvalidURL as error:
        raise InvalidParameter(f"invalid URL {url!r}") from error
    except (TimeoutError, aiohttp.ClientError) as error:
        raise Unavailable(f"failed to download {url}: {error or 'timed out'}") from error
