"""Volumes and the mounts of containers: the room's public face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pierhead.engine.config import ContainerConfig, HostConfig
from pierhead.engine.containers.model import ContainerRecord, MountRecord
from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.settings import Settings
from pierhead.store.database import Database
from pierhead.store.paths import Paths


class VolumeService:
    """All volumes of one pierd. Use from the event loop's thread."""

    def __init__(self, *, db: Database, paths: Paths, settings: Settings, events: EventBus) -> None:
        self._db = db

    async def recover(self, containers: Iterable[ContainerRecord], running: Iterable[str]) -> None:
        """At start: learn who uses which volume, unmount what no ``running`` id needs."""
        raise NotImplementedError

    async def create(
        self,
        name: str | None,
        driver: str = "",
        opts: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Make a volume, or return the one of that name; the shape of inspect.

        Raises ``Conflict`` for another driver, ``InvalidParameter`` for names and options,
        ``NotFound`` for an unknown driver.
        """
        raise NotImplementedError

    def inspect(self, name: str) -> dict[str, Any]:
        """Raises ``NotFound("get x: no such volume")``."""
        raise NotImplementedError

    def list(self, filters: Filters | None = None) -> list[dict[str, Any]]:
        """Filters: dangling, driver, label, name."""
        raise NotImplementedError

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Raises ``Conflict`` with Docker's words while a container uses it."""
        raise NotImplementedError

    async def prune(self, filters: Filters | None = None) -> tuple[list[str], int]:
        """Anonymous ones without users, or with ``all=1`` named ones too: (names, bytes)."""
        raise NotImplementedError

    async def usage(self) -> list[dict[str, Any]]:
        """Every volume with ``UsageData`` (Size in bytes, RefCount), for ``/system/df``."""
        raise NotImplementedError

    async def plan(
        self,
        container_id: str,
        config: ContainerConfig,
        host_config: HostConfig,
        image_volumes: Iterable[str],
        volumes_from: Callable[[str], list[MountRecord]],
    ) -> list[MountRecord]:
        """At create: validate mounts, make the volumes they name, say what will be mounted.

        ``image_volumes`` are the image's VOLUME paths; ``volumes_from(ref)`` returns the
        mounts of another container or raises ``NotFound``. Undoes itself if it fails.
        """
        raise NotImplementedError

    async def populate(self, mounts: Iterable[MountRecord], rootfs: Path) -> None:
        """At create: copy the image's content into empty volumes with ``copy_up``.

        ``rootfs`` is the mounted snapshot. Runs in a jailed worker; does nothing (and needs
        no ``rootfs``) when ``needs_populate`` is false.
        """
        raise NotImplementedError

    def needs_populate(self, mounts: Iterable[MountRecord]) -> bool:
        """Whether ``populate`` has anything to copy, so that a snapshot need not be mounted."""
        raise NotImplementedError

    def oci_mounts(self, container_id: str, mounts: Iterable[MountRecord]) -> list[dict[str, Any]]:
        """At start: mounts for the runtime spec, sorted so that parents come first.

        Makes missing sources of ``-v`` binds; mounts volumes that have a device.
        Raises ``InvalidParameter`` for a source that is gone.
        """
        raise NotImplementedError

    async def stopped(self, container_id: str, mounts: Iterable[MountRecord]) -> None:
        """At exit: unmount what only this container's volumes had mounted; tells ``unmount``."""
        raise NotImplementedError

    async def release(
        self, container_id: str, mounts: Iterable[MountRecord], *, remove_anonymous: bool
    ) -> None:
        """At removal of a container (or of a half-made one)."""
        raise NotImplementedError
