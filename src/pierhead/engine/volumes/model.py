"""Volumes as the engine keeps them, and what it needs to know of their users. No IO."""

from __future__ import annotations

from typing import Any

import msgspec

from pierhead.engine.config import ApiStruct

ANONYMOUS_LABEL = "com.docker.volume.anonymous"


class VolumeRecord(msgspec.Struct, kw_only=True):
    """One volume, immutable. ``options`` are the local driver's type, o, device, size."""

    name: str
    created_ns: int
    driver: str = "local"
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    made_for: str = ""  # container id, until its create is over: see VolumeService.recover

    @property
    def anonymous(self) -> bool:
        """Made without a name: gone with ``rm -v``, taken by a plain prune."""
        return ANONYMOUS_LABEL in self.labels


class VolumeCreate(ApiStruct):
    """Body of ``POST /volumes/create`` (API 1.56)."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, Any] | None = None
