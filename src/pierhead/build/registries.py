"""What builds ask of registries. ``distribution`` does it; the wiring hands it over. No IO.

Builds may not import ``distribution``: these are the shapes of its parts that they use.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from pierhead.build.model import Client
from pierhead.oci import reference
from pierhead.oci.digest import DiffId, Digest
from pierhead.oci.manifest import Descriptor
from pierhead.oci.reference import Reference
from pierhead.store.snapshots import Staged


class Fetched(Protocol):
    """A manifest or index, byte for byte and verified."""

    @property
    def data(self) -> bytes: ...

    @property
    def media_type(self) -> str: ...

    @property
    def digest(self) -> Digest: ...


class RegistryClient(Protocol):
    """``distribution.registry.Registry``: one host; ``repo`` is a path (``library/busybox``)."""

    async def manifest(self, repo: str, ref: str) -> Fetched: ...

    async def read_blob(self, repo: str, descriptor: Descriptor, *, limit_bytes: int) -> bytes: ...

    async def download(
        self,
        repo: str,
        descriptor: Descriptor,
        write: Callable[[bytes], Awaitable[None]],
    ) -> None: ...

    async def blob_exists(self, repo: str, digest: str) -> int | None: ...

    async def upload(
        self,
        repo: str,
        digest: Digest,
        size_bytes: int,
        source: Callable[[int], AsyncIterator[bytes]],
    ) -> None: ...

    async def put_manifest(self, repo: str, ref: str, data: bytes, media_type: str) -> Digest: ...


Push = Callable[[str, str | None], AsyncIterator[dict[str, Any]]]
"""``push(name, auth)``: Docker's progress messages; ``auth`` as in ``X-Registry-Auth``."""

Open = Callable[[str, str | None, bool], AbstractAsyncContextManager[RegistryClient]]
"""``open(domain, auth, push)``: a client for one host, for reading or also for writing."""

FetchLayer = Callable[[str, Descriptor, DiffId, str | None], Awaitable[Staged]]
"""``fetch_layer(repository, descriptor, diff_id, auth)``: a layer, staged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registries:
    """What the wiring gives: ``DistributionService``'s methods."""

    push: Push
    open: Open
    fetch_layer: FetchLayer


async def auth_for(client: Client, ref: Reference) -> str | None:
    """The client's credentials for ``ref``'s registry as ``X-Registry-Auth`` has them."""
    found = await client.credentials(ref.domain)
    if found is None and ref.domain == reference.DEFAULT_DOMAIN:
        found = await client.credentials("https://index.docker.io/v1/")
    return None if found is None else encode(*found)


def encode(user: str, password: str) -> str:
    """``X-Registry-Auth``; with an empty user ``password`` is an identity token."""
    given = {"username": user, "password": password} if user else {"identitytoken": password}
    return base64.urlsafe_b64encode(json.dumps(given).encode()).decode()
