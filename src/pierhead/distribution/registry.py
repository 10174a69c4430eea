"""The distribution protocol: one ``Registry`` per operation (a pull, a push, a login).

Usage::

    async with Registry("docker.io", settings, credentials=..., user_agent=...) as registry:
        got = await registry.manifest("library/busybox", "latest")

``repo`` is the reference's path (``library/busybox``); ``ref`` a tag or a digest. Mirrors
are tried first and never see the credentials. Errors are ``PierError``s in Docker's words;
``complaints.RegistryError`` says what the registry answered.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pierhead.distribution import transfer
from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.connection import Connection
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import Endpoint, Lookup, RegistrySettings, endpoints
from pierhead.distribution.failures import TransportError
from pierhead.distribution.http import Answer, Client, Limits
from pierhead.distribution.transfer import BlobBody, Progress, Source, Waiting, Write
from pierhead.errors import InvalidParameter, PierError, TooLarge
from pierhead.oci import manifest as oci
from pierhead.oci.digest import Digest, is_digest, parse_digest, sha256
from pierhead.oci.manifest import Descriptor

__all__ = ["ACCEPT", "BlobBody", "Fetched", "Progress", "Registry", "Source", "Waiting", "Write"]

log = logging.getLogger(__name__)
T = TypeVar("T")

ACCEPT: Final = (oci.DOCKER_MANIFEST, oci.DOCKER_LIST, oci.OCI_MANIFEST, oci.OCI_INDEX)
MANIFEST_LIMIT_BYTES: Final = 4 << 20
TAGS_LIMIT: Final = 100_000
_PAGES: Final = 1000
_SMALL_ATTEMPTS: Final = 3
_VAGUE_TYPES: Final = frozenset(
    {"", "application/json", "text/plain", "text/html", "application/octet-stream"}
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest or index, byte for byte; its digest has been verified."""

    data: bytes
    media_type: str
    digest: Digest
    endpoint: Endpoint

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.data))


class Registry:
    """An async context manager; its methods may run side by side."""

    def __init__(
        self,
        domain: str,
        settings: RegistrySettings,
        *,
        credentials: Credentials | None = None,
        user_agent: str = "",
        push: bool = False,
        attempts: int = 5,
        certs_dirs: Sequence[Path] | None = None,
        limits: Limits | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        """``attempts`` bounds the tries of one download (``max-download-attempts``).

        ``push`` asks for tokens that may write, and leaves mirrors out.
        """
        self.domain = domain
        self._settings = settings
        self._credentials = credentials
        self._push = push
        self._attempts = attempts
        self._lookup = lookup
        self._client = Client(user_agent=user_agent, limits=limits, certs_dirs=certs_dirs)
        self._connections: list[Connection] = []
        self._begun: dict[tuple[str, str], str] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Registry:
        found = await endpoints(self.domain, self._settings, push=self._push, lookup=self._lookup)
        await self._stack.enter_async_context(self._client)
        self._connections = [
            Connection(self._client, endpoint, self._credentials) for endpoint in found
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    # Which endpoint

    def _usable(self) -> list[Connection]:
        """Those to try, in order.

        An endpoint with TLS that has spoken HTTP is never left for one without.
        """
        own = [connection for connection in self._connections if not connection.endpoint.mirror]
        reached = [connection for connection in own if connection.reached]
        alive = [connection for connection in own if not connection.dead]
        mirrors = [
            connection
            for connection in self._connections
            if connection.endpoint.mirror and not connection.dead
        ]
        return [*mirrors, *(reached[:1] or alive or own)]

    async def _each(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        """The first endpoint's answer; the last one's error if none has one."""
        for connection in (usable := self._usable()):
            try:
                return await self._patiently(connection, ask)
            except PierError as error:
                unreached = isinstance(error, TransportError) and not error.reached
                connection.dead = connection.dead or unreached
                last = connection is usable[-1]
                if last or not (connection.endpoint.mirror or unreached):
                    raise
                log.info(
                    "trying the next endpoint",
                    extra={"endpoint": connection.endpoint.url, "error": str(error)},
                )
        raise AssertionError("no endpoints")

    async def _patiently(
        self, connection: Connection, ask: Callable[[Connection], Awaitable[T]]
    ) -> T:
        """Ask again, a few times, after failures that pass; a mirror has one try."""
        attempts = self._tries(1 if connection.endpoint.mirror else _SMALL_ATTEMPTS, None)
        while True:
            try:
                return await ask(connection)
            except (RegistryError, TransportError) as error:
                if isinstance(error, TransportError) and not error.reached:
                    raise  # others may be reached sooner
                await attempts.failed(error, 0)

    def _tries(self, limit: int, on_wait: Waiting | None, start: int = 0) -> transfer.Attempts:
        return transfer.Attempts(limit, on_wait, self._client.limits.pauses_s, start=start)

    def _scopes(self, repo: str) -> tuple[str, ...]:
        return (f"repository:{repo}:{'pull,push' if self._push else 'pull'}",)

    # Manifests

    async def manifest(self, repo: str, ref: str, *, accept: Sequence[str] = ACCEPT) -> Fetched:
        """Fetch a manifest or index; its digest is computed, and checked if ``ref`` is one.

        Raises ``InvalidParameter`` for another digest than asked for or announced, ``TooLarge``
        beyond ``MANIFEST_LIMIT_BYTES``.
        """

        async def ask(connection: Connection) -> Fetched:
            answer, data = await connection.read(
                _manifest_path(repo, ref),
                MANIFEST_LIMIT_BYTES,
                f"the manifest of {repo}:{ref}",
                scopes=self._scopes(repo),
                headers={"Accept": ", ".join(accept)},
            )
            announced = answer.headers.get("Docker-Content-Digest", "")
            digest = sha256(data)
            wanted = ref if ":" in ref else announced if is_digest(announced) else digest
            if digest != wanted:
                raise InvalidParameter(f"manifest verification failed for digest {wanted}")
            return Fetched(data, _media_type(answer, data), digest, connection.endpoint)

        return await self._each(ask)

    async def head_manifest(
        self, repo: str, ref: str, *, accept: Sequence[str] = ACCEPT
    ) -> Descriptor | None:
        """What ``ref`` points to without fetching it; ``None`` if there is no such thing."""

        async def ask(connection: Connection) -> Descriptor | None:
            async with connection.send(
                "HEAD",
                connection.url(_manifest_path(repo, ref)),
                scopes=self._scopes(repo),
                headers={"Accept": ", ".join(accept)},
            ) as answer:
                digest = answer.headers.get("Docker-Content-Digest", "")
                kind = _plain(answer.headers.get("Content-Type", ""))
                if not is_digest(digest) or answer.length is None or kind in _VAGUE_TYPES:
                    return None
                return Descriptor(media_type=kind, digest=Digest(digest), size=answer.length)

        try:
            found = await self._each(ask)
        except RegistryError as error:
            if error.status == 404:
                return None
            # An answer to HEAD has no body, so the reason is learned by GET.
            found = None
        if found is not None:
            return found
        try:
            return (await self.manifest(repo, ref, accept=accept)).descriptor
        except RegistryError as error:
            if error.status == 404:
                return None
            raise

    async def put_manifest(self, repo: str, ref: str, data: bytes, media_type: str) -> Digest:
        """Store a manifest under a tag or its digest; return the digest."""
        digest = sha256(data)

        async def ask(connection: Connection) -> None:
            async with connection.send(
                "PUT",
                connection.url(_manifest_path(repo, ref)),
                scopes=self._scopes(repo),
                headers={"Content-Type": media_type},
                body=data,
            ) as answer:
                told = answer.headers.get("Docker-Content-Digest", "")
                if is_digest(told) and told != digest:
                    raise InvalidParameter(
                        f"the registry stored {told} instead of the manifest {digest}"
                    )

        await self._each(ask)
        return digest

    async def tags(self, repo: str) -> list[str]:
        """All tags (pages are followed, bounded)."""

        async def ask(connection: Connection) -> list[str]:
            found: dict[str, None] = {}
            path = f"/v2/{repo}/tags/list"
            for _ in range(_PAGES):
                answer, raw = await connection.read(
                    path, MANIFEST_LIMIT_BYTES, f"the list of tags of {repo}",
                    scopes=self._scopes(repo),
                )  # fmt: skip
                listed = _object(raw, "tags").get("tags") or []
                if not isinstance(listed, list):
                    raise InvalidParameter("invalid list of tags: not a list")
                fresh = [tag for tag in listed if isinstance(tag, str) and tag not in found]
                found.update(dict.fromkeys(fresh))
                following = _next_page(answer)
                if following is None or not fresh:
                    return list(found)
                if len(found) > TAGS_LIMIT:
                    break
                path = connection.resolve(answer.url, following)
            raise TooLarge(f"{repo} has more than {TAGS_LIMIT} tags")

        return await self._each(ask)

    # Blobs

    @asynccontextmanager
    async def blob(self, repo: str, digest: str, *, offset: int = 0) -> AsyncIterator[BlobBody]:
        """One request for a blob from ``offset`` on; not retried, not verified."""
        parse_digest(digest)
        connection = self._usable()[0]
        url = connection.url(f"/v2/{repo}/blobs/{digest}")
        async with transfer.open_blob(connection, url, self._scopes(repo), offset) as body:
            yield body

    async def read_blob(self, repo: str, descriptor: Descriptor, *, limit_bytes: int) -> bytes:
        """A small blob (a config) whole, retried and verified.

        Raises ``TooLarge`` beyond the limit, ``InvalidParameter`` for another digest.
        """
        if descriptor.size > limit_bytes:
            raise TooLarge(f"blob {descriptor.digest} is larger than {limit_bytes} bytes")
        parts: list[bytes] = []

        async def write(chunk: bytes) -> None:
            parts.append(chunk)

        await self.download(repo, descriptor, write)
        data = b"".join(parts)
        if sha256(data) != descriptor.digest:
            raise InvalidParameter(
                f"image config verification failed for digest {descriptor.digest}"
            )
        return data

    async def download(
        self,
        repo: str,
        descriptor: Descriptor,
        write: Write,
        *,
        offset: int = 0,
        on_progress: Progress | None = None,
        on_wait: Waiting | None = None,
    ) -> None:
        """Give ``write`` the blob's bytes from ``offset`` to its end, across broken connections.

        Resumes by Range (or by skipping what it has, where the registry knows no ranges),
        backs off on 429 and 5xx as Retry-After asks, falls back from mirrors, follows
        ``descriptor.urls`` of foreign layers. Never more bytes than ``descriptor.size``. The
        digest is the business of who gets the bytes. What ``write`` raises passes through.
        """
        digest = parse_digest(descriptor.digest)
        await transfer.download(
            self._usable,
            f"/v2/{repo}/blobs/{digest}",
            self._scopes(repo),
            descriptor,
            write,
            offset=offset,
            attempts=self._tries(self._attempts, on_wait, offset),
            on_progress=on_progress,
        )

    async def blob_exists(self, repo: str, digest: str) -> int | None:
        """The blob's size in bytes if the repository has it (0 where it doesn't say)."""
        parse_digest(digest)

        async def ask(connection: Connection) -> int | None:
            async with connection.send(
                "HEAD",
                connection.url(f"/v2/{repo}/blobs/{digest}"),
                scopes=self._scopes(repo),
                missing_ok=True,
                checked=True,
            ) as answer:
                return None if answer.status == 404 else answer.length or 0

        return await self._each(ask)

    async def mount(self, repo: str, digest: str, from_repo: str) -> bool:
        """Have the registry link a blob of another repository of its own; false if it won't.

        Registries that won't mostly begin an upload; ``upload`` goes on with that.
        """
        parse_digest(digest)

        async def ask(connection: Connection) -> bool:
            query = f"mount={digest.replace(':', '%3A')}&from={quote(from_repo, safe='')}"
            async with connection.send(
                "POST",
                connection.url(f"/v2/{repo}/blobs/uploads/?{query}"),
                scopes=(*self._scopes(repo), f"repository:{from_repo}:pull"),
                headers={"Content-Length": "0"},
                body=b"",
            ) as answer:
                if answer.status == 202 and (given := answer.headers.get("Location")):
                    self._begun[repo, digest] = connection.resolve(answer.url, given)
                return answer.status == 201

        try:
            return await self._each(ask)
        except RegistryError as error:
            if error.status in (400, 401, 403, 404, 405):
                return False  # no access to the other repository, or no such thing as mounts
            raise

    async def upload(
        self,
        repo: str,
        digest: Digest | Callable[[], Digest],
        size_bytes: int | None,
        source: Source,
        *,
        on_progress: Progress | None = None,
        on_wait: Waiting | None = None,
    ) -> None:
        """Send a blob; goes on where the registry says it stopped after a broken connection.

        Where the blob is made while it is sent, ``size_bytes`` is ``None`` and ``digest`` a
        function, asked when ``source`` has ended.
        """
        location = None if callable(digest) else self._begun.pop((repo, digest), None)

        async def ask(connection: Connection) -> str:
            return await transfer.begin(connection, repo, self._scopes(repo))

        if location is None:
            location = await self._each(ask)
        await transfer.upload(
            self._usable()[0],
            repo,
            self._scopes(repo),
            location,
            digest,
            size_bytes,
            source,
            attempts=self._tries(self._attempts, on_wait),
            commit_s=self._client.limits.commit_s,
            stall_s=self._client.limits.stall_s,
            on_progress=on_progress,
        )

    # The registry itself

    async def ping(self) -> None:
        """Whether the registry answers and speaks v2. Raises if not."""

        async def ask(connection: Connection) -> None:
            async with connection.send("GET", connection.url("/v2/")):
                pass

        await self._each(ask)

    async def login(self) -> str:
        """Try the credentials; return an identity token, or an empty string without one."""
        self._connections = [
            Connection(self._client, connection.endpoint, self._credentials, offline=True)
            for connection in self._connections
            if not connection.endpoint.mirror
        ]

        async def ask(connection: Connection) -> str:
            url = connection.url("/v2/")
            try:
                async with connection.send("GET", url) as answer:
                    status, reason = answer.status, answer.reason
            except RegistryError as error:
                if error.of_proof:
                    raise
                status, reason = error.status, error.reason
            if status != 200:
                raise RegistryError(
                    f"login attempt to {url} failed with status: {status} {reason}",
                    kind="unauthorized" if status == 401 else "internal",
                    status=status,
                )
            return connection.authorizer.refresh_token

        return await self._each(ask)


def _manifest_path(repo: str, ref: str) -> str:
    return f"/v2/{repo}/manifests/{quote(ref, safe=':')}"


def _plain(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _media_type(answer: Answer, data: bytes) -> str:
    """What the header says; where it says nothing of use, what the document says."""
    kind = _plain(answer.headers.get("Content-Type", ""))
    if kind not in _VAGUE_TYPES:
        return kind
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return kind
    told = document.get("mediaType") if isinstance(document, dict) else None
    if isinstance(told, str) and told:
        return told
    if isinstance(document, dict) and document.get("schemaVersion") == 2:
        return oci.OCI_INDEX if "manifests" in document else oci.OCI_MANIFEST
    return kind


def _object(raw: bytes, what: str) -> dict[str, Any]:
    return oci.decode_object(raw, f"list of {what}")


def _next_page(answer: Answer) -> str | None:
    """The target of ``Link: <...>; rel="next"`` (RFC 8288)."""
    link = answer.headers.get("Link", "").strip()
    if not link.startswith("<") or ">" not in link:
        return None
    target, _, rest = link[1:].partition(">")
    return target if "next" in rest or not rest.strip(" ;") else None
