"""Giving a solved build's images away: every ``--output``, in the order they were asked.

``Solved`` holds the layers; nothing of it is recorded before. Each output is one step of the
progress (``exporting to image``). What the types do:

    image     into this daemon's images; ``push=true`` sends it on
    registry  the same with ``push=true``
    local     the files themselves, as a tar that the client unpacks
    tar       the same, as one tar
    oci       an archive with the OCI image layout; ``docker`` the same, as ``docker save`` has it
    cacheonly nothing
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pierhead.build.export.model import Solved
from pierhead.build.model import BuildResult, Client, Emit, Output
from pierhead.build.registries import Registries
from pierhead.engine.events import EventBus
from pierhead.engine.images.service import ImageService
from pierhead.errors import NotImplementedYet
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.files.service import FileService


class Exporter:
    """One for the daemon; exports of several builds run side by side."""

    def __init__(
        self,
        *,
        images: ImageService,
        blobs: BlobStore,
        snapshots: Snapshotter,
        files: FileService,
        events: EventBus,
        registries: Registries,
    ) -> None:
        self._images = images
        self._blobs = blobs
        self._snapshots = snapshots
        self._files = files
        self._events = events
        self._registries = registries

    async def export(
        self, solved: Solved, outputs: Sequence[Output], client: Client, emit: Emit
    ) -> BuildResult:
        """Do all of ``outputs`` (none: one ``image``); the caller releases ``solved``.

        Raises ``InvalidParameter`` for types and attributes that aren't known before anything
        is given away, else what the outputs raise: those done by then stay done.
        """
        raise NotImplementedYet("outputs aren't there yet")
