"""Reports about images: explore, diff, and the tree of shared layers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pierhead.engine.images import ancestry, difference, explore
from pierhead.engine.images.service import ImageService
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter


class ImageReports:
    """What the API asks; the shapes are in ``explore``, ``difference`` and ``ancestry``."""

    def __init__(self, *, images: ImageService, snapshots: Snapshotter, paths: Paths) -> None:
        self._images = images
        self._snapshots = snapshots
        self._paths = paths

    def explore(
        self, ref: str, wanted: explore.Wanted, platform: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Raises ``NotFound`` and ``InvalidParameter`` before it returns."""
        image = self._images.resolve(ref, platform)
        return explore.explore(image, wanted, self._snapshots, self._paths)

    def difference(
        self, a: str, b: str, wanted: difference.Wanted, platforms: tuple[str | None, str | None]
    ) -> AsyncGenerator[bytes, None]:
        """``platforms`` of the two. Raises ``NotFound`` before it returns."""
        first = self._images.resolve(a, platforms[0])
        second = self._images.resolve(b, platforms[1])
        return difference.difference(first, second, wanted, self._snapshots, self._paths)

    def ancestry(self) -> list[dict[str, Any]]:
        return ancestry.ancestry(self._images.index.images.values(), self._snapshots)
