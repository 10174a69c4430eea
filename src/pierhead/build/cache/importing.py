"""``--cache-from``: what other builds learned. Layers are fetched only when they are needed.

Use::

    cache = await importer.open(option, client, emit)      # None: there is nothing to use
    if key in cache.results:
        chain_id = cache.results[key]                      # known without any layer being here
    ...
    await cache.materialise(chain_id)                      # before somebody stands on it
    await cache.close()
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from pierhead.build.model import CacheOption, Client, Emit
from pierhead.build.registries import Registries
from pierhead.engine.images.service import ImageService
from pierhead.errors import NotImplementedYet
from pierhead.oci.digest import ChainId
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.execute.mounts import CacheMounts


class ImportedCache(Protocol):
    """One opened ``--cache-from``; holds a lease on what it fetched until ``close``."""

    name: str
    """For people: ``registry example.org/app:cache``."""

    results: Mapping[str, ChainId | None]
    """Key → result. ``None`` is the empty tree."""

    async def materialise(self, chain_id: ChainId) -> bool:
        """Have all layers of ``chain_id`` here; false (and a warning) if that can't be done."""
        ...

    async def close(self) -> None:
        """Let go; no error the second time."""
        ...


class CacheImporter:
    """Opens caches."""

    def __init__(
        self,
        *,
        images: ImageService,
        blobs: BlobStore,
        snapshots: Snapshotter,
        mounts: CacheMounts,
        registries: Registries,
    ) -> None:
        self._images = images
        self._blobs = blobs
        self._snapshots = snapshots
        self._mounts = mounts
        self._registries = registries

    async def open(
        self, option: CacheOption, client: Client, emit: Emit, *, number: int = 0
    ) -> ImportedCache | None:
        """Read one ``--cache-from``: a missing or foreign cache is a warning, never an error.

        Cache mounts in it are unpacked where this daemon has none of that id. ``local`` reads
        the client's source ``cache-from:<number>``.
        """
        raise NotImplementedYet("cache imports aren't there yet")
