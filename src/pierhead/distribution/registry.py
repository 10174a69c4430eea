"""The distribution protocol: one ``Registry`` per operation (a pull, a push, a login).

Usage::

    async with Registry("docker.io", settings, credentials=..., user_agent=...) as registry:
        got = await registry.manifest("library/busybox", "latest")

``repo`` is the reference's path (``library/busybox``); ``ref`` a tag or a digest. Mirrors
are tried first and never see the credentials. Errors are ``PierError``s in Docker's words;
``complaints.RegistryError`` says what the registry answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import Endpoint, RegistrySettings
from pierhead.errors import NotImplementedYet
from pierhead.oci import manifest as oci
from pierhead.oci.digest import Digest
from pierhead.oci.manifest import Descriptor

ACCEPT: Final = (oci.DOCKER_MANIFEST, oci.DOCKER_LIST, oci.OCI_MANIFEST, oci.OCI_INDEX)
MANIFEST_LIMIT_BYTES: Final = 4 << 20

Write = Callable[[bytes], Awaitable[None]]
Progress = Callable[[int], None]
"""Called with the bytes done so far, those before ``offset`` included."""
Waiting = Callable[[int], None]
"""Called each second of a pause before the next attempt, with the seconds left."""
Source = Callable[[int], AsyncIterator[bytes]]
"""Opens a blob to upload from an offset; may be asked again after a broken connection."""


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


@dataclass(frozen=True, slots=True)
class BlobBody:
    """A blob's bytes from ``offset`` on. ``size_bytes`` is the whole blob's, if known."""

    size_bytes: int | None
    offset: int
    chunks: AsyncIterator[bytes]


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
    ) -> None:
        """``attempts`` bounds the tries of one download (``max-download-attempts``).

        ``push`` asks for tokens that may write, and leaves mirrors out.
        """

    async def __aenter__(self) -> Registry:
        raise NotImplementedYet("registries can't be reached yet")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedYet("registries can't be reached yet")

    async def manifest(self, repo: str, ref: str, *, accept: Sequence[str] = ACCEPT) -> Fetched:
        """Fetch a manifest or index; its digest is computed, and checked if ``ref`` is one."""
        raise NotImplementedYet("registries can't be reached yet")

    async def head_manifest(
        self, repo: str, ref: str, *, accept: Sequence[str] = ACCEPT
    ) -> Descriptor | None:
        """What ``ref`` points to without fetching it; ``None`` if there is no such thing."""
        raise NotImplementedYet("registries can't be reached yet")

    def blob(
        self, repo: str, digest: str, *, offset: int = 0
    ) -> AbstractAsyncContextManager[BlobBody]:
        """One request for a blob from ``offset`` on; not retried, not verified."""
        raise NotImplementedYet("registries can't be reached yet")

    async def read_blob(self, repo: str, descriptor: Descriptor, *, limit_bytes: int) -> bytes:
        """A small blob (a config) whole, retried and verified."""
        raise NotImplementedYet("registries can't be reached yet")

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
        raise NotImplementedYet("registries can't be reached yet")

    async def blob_exists(self, repo: str, digest: str) -> int | None:
        """The blob's size in bytes if the repository has it."""
        raise NotImplementedYet("registries can't be reached yet")

    async def mount(self, repo: str, digest: str, from_repo: str) -> bool:
        """Have the registry link a blob of another repository of its own; false if it won't."""
        raise NotImplementedYet("registries can't be reached yet")

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
        raise NotImplementedYet("registries can't be reached yet")

    async def put_manifest(self, repo: str, ref: str, data: bytes, media_type: str) -> Digest:
        """Store a manifest under a tag or its digest; return the digest."""
        raise NotImplementedYet("registries can't be reached yet")

    async def tags(self, repo: str) -> list[str]:
        """All tags (pages are followed, bounded)."""
        raise NotImplementedYet("registries can't be reached yet")

    async def ping(self) -> None:
        """Whether the registry answers and speaks v2. Raises if not."""
        raise NotImplementedYet("registries can't be reached yet")

    async def login(self) -> str:
        """Try the credentials; return an identity token, or an empty string without one."""
        raise NotImplementedYet("registries can't be reached yet")
