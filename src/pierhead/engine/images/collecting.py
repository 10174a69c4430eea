"""The collector: manifests, blobs and layers that nothing leads to any more go.

What stays:

- an image's config, and the layers of its chain;
- manifests that a name stands for, that lead to an image which is here, or that a kept
  index lists; and what they list, as far as it is here;
- compressed layers of every layer that an image needs, whichever manifest they came with:
  they needn't be compressed again for a push;
- whatever a lease holds.

Deciding is synchronous, and a blob loses its name before anybody else runs: so whoever
leases first and looks afterwards can't be cheated. Files are deleted in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from pierhead import tasks
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.remove import ImageRemover
from pierhead.oci.digest import ChainId, Digest
from pierhead.store.blobs import BlobStore

log = logging.getLogger(__name__)

DELAY_S: Final = 0.2
"""How long blobs wait for more to become garbage (a prune removes image after image)."""


class Collector:
    """Collects soon after something became unneeded, once for many changes."""

    def __init__(self, index: ImageIndex, blobs: BlobStore, remover: ImageRemover) -> None:
        self._index = index
        self._blobs = blobs
        self._remover = remover
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def soon(self, chains: tuple[ChainId, ...] = ()) -> None:
        """Something may have become garbage: blobs, and the layers ``chains``.

        Without an event loop (tests, tools) it is for the next ``recover``.
        """
        self._remover.suspect(chains)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        self._again = True
        if self._task is None:
            self._task = tasks.spawn(self._run(), name="collect garbage")

    async def _run(self) -> None:
        try:
            while self._again:
                await self._remover.release_orphans()
                await asyncio.sleep(DELAY_S)
                self._again = False
                await self.collect()
        finally:
            self._task = None

    async def collect(self) -> None:
        """Find and delete all that is unneeded now."""
        await self._remover.release_orphans()
        trash = self._sweep()
        if trash:
            log.debug("collected", extra={"blobs": len(trash)})
            await asyncio.to_thread(_unlink, trash)

    def _sweep(self) -> list[Path]:
        content = self._index.content
        members = content.members()
        kept = self._kept_manifests(members)
        for digest in set(content.manifests) - kept:
            content.forget(digest)
        stay: set[str] = {member for digest in kept for member in members.get(digest, ())}
        needed = {
            diff_id
            for image in self._index.images.values()
            for diff_id in image.config.rootfs.diff_ids
        }
        stay |= kept | set(content.held_blobs) | set(self._index.images)
        stay |= content.drop_layer_blobs(needed, stay)
        content.drop_sources(stay)
        trash = []
        for digest in self._blobs.digests():
            if digest not in stay and (path := self._blobs.discard(digest)) is not None:
                trash.append(path)
        return trash

    def _kept_manifests(self, members: dict[Digest, tuple[Digest, ...]]) -> set[Digest]:
        content = self._index.content
        wave: set[Digest] = set(self._index.targets.values())
        for image_id, digests in content.by_image.items():
            if image_id in self._index.images:
                wave.update(digests)
        wave.update(Digest(digest) for digest in content.held_blobs)
        kept: set[Digest] = set()
        while wave:
            wave &= content.manifests.keys()
            kept |= wave
            wave = {member for digest in wave for member in members.get(digest, ())} - kept
        return kept


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
