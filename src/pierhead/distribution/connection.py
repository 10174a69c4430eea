"""One endpoint of a registry: requests with the proof it asks for, answers or errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urljoin

from pierhead.distribution.auth import Authorizer, complaint_of
from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import Endpoint
from pierhead.distribution.failures import TransportError, failed
from pierhead.distribution.http import Answer, Body, Client, origin


class Connection:
    """Not one socket: whatever an operation says to one endpoint. Shared by its tasks."""

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        credentials: Credentials | None,
        *,
        offline: bool = False,
    ) -> None:
        # A mirror is another party than the registry that the credentials are for.
        self.endpoint = endpoint
        self.authorizer = Authorizer(
            client, endpoint, None if endpoint.mirror else credentials, offline=offline
        )
        self._client = client
        self.reached = False
        """Whether it has ever answered in HTTP."""
        self.dead = False
        """Whether it can't be reached, so that others are to be tried first."""

    def url(self, path: str) -> str:
        """``path`` begins with ``/v2/``."""
        return self.endpoint.url + path

    def resolve(self, base: str, location: str) -> str:
        """A ``Location`` that the registry gave: relative ones, and those of a registry that
        doesn't know that it is behind TLS, come back to the endpoint's origin."""
        url = urljoin(base, location)
        mine = origin(self.endpoint.url)
        scheme, host, port = origin(url)
        if mine[0] == "https" and scheme == "http" and host == mine[1] and port in (80, mine[2]):
            return self.endpoint.url.partition("/v2/")[0].rstrip("/") + _path_of(url)
        return url

    @asynccontextmanager
    async def send(
        self,
        method: str,
        url: str,
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Body | bytes | None = None,
        read_s: float | None = None,
        checked: bool = False,
        missing_ok: bool = False,
    ) -> AsyncIterator[Answer]:
        """Send a request to this endpoint and give its successful answer.

        An answer of 401 is followed by one more try with a (fresh) proof, if the registry
        says which. Raises ``RegistryError`` for a refusal (except 404 with ``missing_ok``),
        ``TransportError`` where there is no answer. Only URLs of the endpoint's own origin
        are sent with a proof.
        """
        own = origin(url) == origin(self.endpoint.url)
        for attempt in (0, 1):
            sent = dict(headers or {})
            proof = await self._proof(method, url, scopes) if own else None
            if proof is not None:
                sent["Authorization"] = proof
            try:
                request = self._client.request(
                    method,
                    url,
                    self.endpoint,
                    headers=sent,
                    body=body,
                    read_s=read_s,
                    checked=checked,
                )
                async with request as answer:
                    self.reached = True
                    self.dead = False
                    if (
                        answer.status == 401
                        and attempt == 0
                        and own
                        and origin(answer.url) == origin(url)
                        and self.authorizer.take(answer.all("WWW-Authenticate"))
                        and await self._again(method, url, proof, scopes)
                    ):
                        await answer.finish()
                        continue
                    if answer.status >= 300 and not (answer.status == 404 and missing_ok):
                        raise await complaint_of(answer)
                    yield answer
                    return
            except TransportError as error:
                first = not self.reached and own
                self.reached = self.reached or error.reached
                if first and not error.reached:
                    # Docker's first request is this one, and its words are looked for.
                    ping = self.url("/v2/")
                    raise failed(
                        "GET", ping, error.why, reached=False, passing=error.passing
                    ) from error
                raise

    async def _proof(self, method: str, url: str, scopes: Sequence[str]) -> str | None:
        """The ``Authorization`` header; its failures are told as those of the request."""
        try:
            return await self.authorizer.header(scopes)
        except RegistryError as error:
            raise RegistryError(
                f'{method.title()} "{url}": {error}',
                kind=error.kind,
                status=error.status,
                code=error.code,
                reason=error.reason,
                retry_after_s=error.retry_after_s,
                of_proof=True,
            ) from error
        except TransportError as error:
            # The registry itself was reached.
            raise TransportError(
                f'{method.title()} "{url}": {error}', reached=True, passing=error.passing
            ) from error

    async def _again(self, method: str, url: str, proof: str | None, scopes: Sequence[str]) -> bool:
        """Whether a second try would show another proof than the first."""
        self.authorizer.reject(proof)
        return await self._proof(method, url, scopes) != proof

    async def read(
        self,
        path: str,
        limit_bytes: int,
        what: str,
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Answer, bytes]:
        """GET something small, whole, in bounded time. ``TooLarge`` naming ``what``."""
        url = path if "://" in path else self.url(path)
        try:
            async with (
                asyncio.timeout(self._client.limits.small_s),
                self.send("GET", url, scopes=scopes, headers=headers) as answer,
            ):
                return answer, await answer.read(limit_bytes, what)
        except TimeoutError as error:
            raise failed(
                "GET",
                url,
                "net/http: request canceled (Client.Timeout exceeded while reading body)",
                reached=True,
                passing=True,
            ) from error


def _path_of(url: str) -> str:
    rest = url.partition("://")[2]
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"
