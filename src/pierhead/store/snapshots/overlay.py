"""The overlay snapshotter: layers unpacked into directories, stacked by overlayfs."""

from __future__ import annotations

from pierhead.store.database import Database
from pierhead.store.paths import Paths


class OverlaySnapshotter:
    """Implements ``Snapshotter``."""

    driver = "overlay2"

    def __init__(self, paths: Paths, db: Database) -> None:
        raise NotImplementedError
