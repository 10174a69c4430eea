"""HTTP for one operation on a registry: connections, TLS, proxies, redirects, time limits.

``Authorization`` goes to the origin (scheme, host and port) that the request was made for
and to no other, however the redirects lead. Every failure is a ``TransportError``.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

from pierhead.distribution import proxies, tls
from pierhead.distribution.backoff import PAUSES_S
from pierhead.distribution.endpoints import Endpoint
from pierhead.distribution.failures import failed, translate
from pierhead.errors import TooLarge

if TYPE_CHECKING:
    import ssl

    import aiohttp

REDIRECTS: Final = 10
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
_BUFFER_BYTES: Final = 1 << 18
_LEGAL: Final = "".join(map(chr, range(0x21, 0x7F)))
_DRAIN_BYTES: Final = 1 << 16
"""How much of an unread answer is read away to keep the connection."""

Origin = tuple[str, str, int]
Body = Callable[[], AsyncIterator[bytes]]
"""Gives a request's body; asked again when the request must be repeated."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds."""

    connect_s: float = 30.0
    stall_s: float = 60.0
    """Without a byte from the other side, in an answer or before it."""
    small_s: float = 120.0
    """For a whole manifest, token or list."""
    commit_s: float = 900.0
    """For the registry's answer to the last byte of an upload: it hashes the blob first."""
    pauses_s: tuple[float, ...] = PAUSES_S
    """Before the second try, the third, ..."""


def origin(url: str) -> Origin:
    """Who may see what is meant for ``url``."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    port = parts.port or {"http": 80, "https": 443}.get(scheme, 0)
    return scheme, (parts.hostname or "").lower(), port


def without_query(url: str) -> str:
    """A URL fit for messages: the query of a redirect may be a signature."""
    return url.partition("?")[0].partition("#")[0]


class Answer:
    """A response whose body can be read once, as chunks or whole."""

    def __init__(self, method: str, url: str, shown: str, raw: aiohttp.ClientResponse) -> None:
        self.method = method
        self.url = url
        """The one that answered, after redirects."""
        self._shown = shown
        self._raw = raw
        self.status = raw.status
        self.reason = raw.reason or ""
        self.headers: Mapping[str, str] = raw.headers

    def all(self, name: str) -> Sequence[str]:
        """All headers of that name."""
        return self._raw.headers.getall(name, ())

    @property
    def length(self) -> int | None:
        """``Content-Length``, if there is a readable one."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, some 10 to 256 KB each. ``TransportError`` if it breaks off."""
        content = self._raw.content
        while True:
            try:
                chunk = await content.readany()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                raise translate(self.method, self._shown, error, reached=True) from error
            if not chunk:
                return
            yield chunk

    async def read(self, limit_bytes: int, what: str) -> bytes:
        """The whole body. ``TooLarge`` naming ``what`` beyond the limit."""
        parts, size = [], 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit_bytes:
                raise TooLarge(f"{what} is larger than {limit_bytes} bytes")
            parts.append(chunk)
        return b"".join(parts)

    async def read_some(self, limit_bytes: int) -> bytes:
        """The beginning of the body; never raises for its length or its breaking off."""
        parts, size = [], 0
        try:
            async for chunk in self.chunks():
                parts.append(chunk)
                size += len(chunk)
                if size >= limit_bytes:
                    break
        except Exception as error:
            if not parts and isinstance(error, TimeoutError):
                raise
        return b"".join(parts)[:limit_bytes]

    async def finish(self) -> None:
        """Make the connection fit for the next request, if that costs little."""
        length = self.length
        if self.method == "HEAD" or (length is not None and length <= _DRAIN_BYTES):
            await self.read_some(_DRAIN_BYTES)


class Client:
    """A pool of connections with one endpoint's trust. Use as an async context manager."""

    def __init__(
        self,
        *,
        user_agent: str = "",
        limits: Limits | None = None,
        certs_dirs: Sequence[Path] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._user_agent = user_agent
        self.limits = limits or Limits()
        self._certs_dirs = tls.CERTS_DIRS if certs_dirs is None else certs_dirs
        self._environment = os.environ if environment is None else environment
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[tuple[str, str, bool], ssl.SSLContext] = {}
        self._pinned: dict[str, tuple[str, ...]] = {}

    async def __aenter__(self) -> Client:
        import aiohttp

        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=0, resolver=_resolver(self._pinned), keepalive_timeout=30
        )
        headers = {"User-Agent": self._user_agent or "pierhead"}
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            read_bufsize=_BUFFER_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**headers, "Accept-Encoding": "identity"},
            skip_auto_headers=("Content-Type",),
            max_line_size=65536,
            max_field_size=65536,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _context(self, endpoint: Endpoint, url: str) -> ssl.SSLContext:
        """TLS for ``url``, reached on behalf of ``endpoint``.

        Token servers and the hosts of redirects get the endpoint's authorities besides their
        own, but our client certificates only if they are the same machine.
        """
        host = urlsplit(url).netloc.rpartition("@")[2]
        key = (endpoint.host, host, endpoint.verify)
        context = self._contexts.get(key)
        if context is None:
            own = tls.host_files(host, self._certs_dirs)
            base = tls.host_files(endpoint.host, self._certs_dirs)
            if endpoint.official:
                hub = tls.host_files("docker.io", self._certs_dirs)
                base = tls.HostFiles(
                    (*base.authorities, *hub.authorities), (*base.pairs, *hub.pairs)
                )
            same = urlsplit(url).hostname == urlsplit(f"https://{endpoint.host}").hostname
            authorities = dict.fromkeys((*base.authorities, *own.authorities))
            pairs = own.pairs or (base.pairs if same else ())
            context = await asyncio.to_thread(
                tls.client_context, list(authorities), pairs, verify=endpoint.verify
            )
            self._contexts[key] = context
        return context

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        endpoint: Endpoint,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | bytes | None = None,
        shown: str | None = None,
        read_s: float | None = None,
        checked: bool = False,
    ) -> AsyncIterator[Answer]:
        """Send a request, following redirects; the answer may have any status.

        ``shown`` is the URL for messages. ``read_s`` instead of ``Limits.stall_s``. Only
        what is ``checked`` against a digest may be redirected from https to http.
        """
        import aiohttp

        assert self._session is not None
        if endpoint.addresses:
            self._pinned[urlsplit(endpoint.url).hostname or ""] = endpoint.addresses
        shown = shown or url
        sent = dict(headers or {})
        times = aiohttp.ClientTimeout(
            total=None,
            sock_connect=self.limits.connect_s,
            sock_read=self.limits.stall_s if read_s is None else read_s,
        )
        for _ in range(REDIRECTS + 1):
            raw = await self._send(method, url, endpoint, sent, body, shown, times)
            try:
                answer = Answer(method, url, shown, raw)
                target = _redirect(method, answer)
                if target is None:
                    yield answer
                    return
                if origin(target) != origin(url):
                    sent = {k: v for k, v in sent.items() if k.lower() != "authorization"}
                    shown = without_query(target)
                _check_redirect(method, shown, target, plain_ok=checked or not endpoint.secure)
                await answer.finish()
                url = target
            finally:
                raw.release()
        raise failed(
            method, shown, f"stopped after {REDIRECTS} redirects", reached=True, passing=False
        )

    async def _send(
        self,
        method: str,
        url: str,
        endpoint: Endpoint,
        headers: Mapping[str, str],
        body: Body | bytes | None,
        shown: str,
        times: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        import aiohttp
        from yarl import URL

        assert self._session is not None
        options: dict[str, Any] = {}
        if url.startswith("https:"):
            options["ssl"] = await self._context(endpoint, url)
        if (proxy := proxies.proxy_for(url, self._environment)) is not None:
            options["proxy"] = proxy
        try:
            # As it was given: a signed URL must not be written in another way.
            # Only what no URL may hold is escaped, so that it stays one line of the request.
            target = URL(quote(url, safe=_LEGAL, errors="surrogateescape"), encoded=True)
            return await self._session.request(
                method,
                target,
                headers=headers,
                data=body() if callable(body) else body,
                allow_redirects=False,
                timeout=times,
                **options,
            )
        except asyncio.CancelledError:
            raise
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise translate(method, shown, error, reached=False) from error


def _redirect(method: str, answer: Answer) -> str | None:
    """Where an answer sends us, if it does and we go."""
    if answer.status not in _REDIRECTING:
        return None
    if method not in ("GET", "HEAD") and answer.status not in (307, 308):
        return None
    location = answer.headers.get("Location", "")
    return urljoin(answer.url, location) if location else None


def _check_redirect(method: str, shown: str, target: str, *, plain_ok: bool) -> None:
    scheme, host, _ = origin(target)
    if scheme not in ("http", "https") or not host:
        raise failed(
            method, shown, f'unsupported protocol scheme "{scheme}"', reached=True, passing=False
        )
    if scheme == "http" and not plain_ok:
        raise failed(
            method, shown, "refusing a redirect from https to http", reached=True, passing=False
        )


def _resolver(pinned: Mapping[str, Sequence[str]]) -> Any:
    """The system's resolver, except for hosts that may be reached at certain addresses only."""
    from aiohttp.abc import AbstractResolver, ResolveResult
    from aiohttp.resolver import ThreadedResolver

    class Resolver(AbstractResolver):
        def __init__(self) -> None:
            self._system = ThreadedResolver()

        async def resolve(
            self,
            host: str,
            port: int = 0,
            family: socket.AddressFamily = socket.AF_INET,
        ) -> list[ResolveResult]:
            if host not in pinned:
                return await self._system.resolve(host, port, family)
            return [
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
                for address in pinned[host]
            ]

        async def close(self) -> None:
            await self._system.close()

    return Resolver()
