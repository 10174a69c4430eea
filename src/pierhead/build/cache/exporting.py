"""``--cache-to``: what a build learned, for another machine's builds. See ``document.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pierhead.build.export.model import Solved
from pierhead.build.model import CacheOption, Client, Emit
from pierhead.build.registries import Registries
from pierhead.engine.images.service import ImageService
from pierhead.errors import NotImplementedYet
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.execute.mounts import CacheMounts


class CacheExporter:
    """Writes caches. ``inline`` ones aren't its business: the image exporter puts them in."""

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

    async def export(
        self, solved: Solved, option: CacheOption, client: Client, emit: Emit, *, number: int = 0
    ) -> dict[str, object]:
        """Write one ``--cache-to``; what is to be said of it in the metadata.

        ``local`` goes to ``client.receive(Output(type="local", attributes={"dest": ...,
        "cache": "true"}, number=1000 + number))`` as a tar of an OCI layout.
        """
        raise NotImplementedYet("cache exports aren't there yet")
