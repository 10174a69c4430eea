"""A Debian image by mmdebstrap (filled in below)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import NotImplementedYet
from pierhead.oci.reference import Reference
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

VARIANTS: Final = ("minbase", "apt", "essential", "required", "important", "standard", "buildd")
DEFAULT_VARIANT: Final = "minbase"


async def bootstrap(
    index: ImageIndex,
    snapshots: Snapshotter,
    paths: Paths,
    ref: Reference,
    *,
    suite: str,
    variant: str,
    packages: list[str],
    mirror: str,
) -> AsyncIterator[dict[str, Any] | Image]:
    """Progress messages, then the image."""
    raise NotImplementedYet("debian images: soon")
    yield {}
