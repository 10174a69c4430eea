"""Volumes and the mounts of containers: the room's public face.

``specs`` parses what users write, ``planning`` decides a container's mounts, ``local``
is the driver, ``oci`` makes entries for the runtime, ``registry`` keeps the records.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from pierhead.engine.config import ContainerConfig, HostConfig
from pierhead.engine.containers.model import ContainerRecord, MountRecord
from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.networks.describe import rfc3339
from pierhead.engine.settings import Settings
from pierhead.engine.volumes.local import LocalDriver
from pierhead.engine.volumes.model import ANONYMOUS_LABEL, VolumeRecord
from pierhead.engine.volumes.oci import oci_mount, parents_first
from pierhead.engine.volumes.options import check_options, device_mount
from pierhead.engine.volumes.planning import plan_mounts
from pierhead.engine.volumes.populate import copy_up
from pierhead.engine.volumes.registry import VolumeRegistry
from pierhead.engine.volumes.specs import check_volume_name, mount_error
from pierhead.errors import Conflict, InvalidParameter, NotFound
from pierhead.linux.paths import final_path, make_mount_point, resolve_in_root
from pierhead.store.database import Database
from pierhead.store.paths import Paths

log = logging.getLogger(__name__)

Objects = list[dict[str, Any]]
Mounts = list[MountRecord]
Pruned = tuple[list[str], int]


class VolumeService:
    """All volumes of one pierd. Use from the event loop's thread."""

    def __init__(self, *, db: Database, paths: Paths, settings: Settings, events: EventBus) -> None:
        self._paths = paths
        self._events = events
        self._registry = VolumeRegistry(db)
        self._local = LocalDriver(paths)
        self._active: dict[str, set[str]] = {}  # volume → running containers
        self._mounting = asyncio.Lock()
        self._recursive_read_only = _kernel_at_least(5, 12)  # mount_setattr(2)

    async def recover(self, containers: Iterable[ContainerRecord], running: Iterable[str]) -> None:
        """At start: learn who uses which volume, unmount what no ``running`` id needs.

        Anonymous volumes of a create that was killed half-way are removed, and what a kill
        left of a removal; directories that a kill kept from being made are made.
        """
        up = set(running)
        known = set()
        for record in containers:
            for name in _volumes(record.mounts):
                known.add((record.id, name))
                self._registry.use(name, record.id)
                if record.id in up:
                    self._active.setdefault(name, set()).add(record.id)
        self._local.remove_strays({volume.name for volume in self._registry})
        for volume in self._registry:
            self._local.make(volume.name)
            if volume.made_for and (volume.made_for, volume.name) not in known:
                self._delete(volume)
                continue
            if volume.made_for:
                self._registry.put(msgspec.structs.replace(volume, made_for=""))
            if volume.name not in self._active:
                self._local.unmount(volume)

    # -- volumes ------------------------------------------------------------------------

    async def create(
        self,
        name: str | None,
        driver: str = "",
        opts: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Make a volume, or return the one of that name; the shape of inspect.

        Raises ``InvalidParameter`` for names and options, ``NotFound`` for an unknown driver.
        """
        _check_driver(driver)
        record = self._make(name or "", dict(opts or {}), dict(labels or {}))
        return self._describe(record)

    def _make(
        self, name: str, options: dict[str, str], labels: dict[str, str], made_for: str = ""
    ) -> VolumeRecord:
        if not name:
            name = secrets.token_hex(32)
            labels = {**labels, ANONYMOUS_LABEL: ""}
        elif (existing := self._registry.find(name)) is not None:
            return existing
        check_volume_name(name)
        check_options(options)
        record = VolumeRecord(
            name=name,
            created_ns=time.time_ns(),
            options=options,
            labels=labels,
            made_for=made_for,
        )
        self._registry.put(record)  # first: a directory without a record is nobody's
        try:
            self._local.make(name)
        except BaseException:
            self._registry.delete(name)
            raise
        self._events.emit("volume", "create", name, {"driver": record.driver})
        return record

    def inspect(self, name: str) -> dict[str, Any]:
        """Raises ``NotFound("get x: no such volume")``."""
        return self._describe(self._registry.get(name))

    def _describe(self, record: VolumeRecord) -> dict[str, Any]:
        return {
            "CreatedAt": rfc3339(record.created_ns // 1_000_000_000 * 1_000_000_000),
            "Driver": record.driver,
            "Labels": record.labels or None,
            "Mountpoint": str(self._local.mountpoint(record.name)),
            "Name": record.name,
            "Options": record.options or None,
            "Scope": "local",
        }

    def list(self, filters: Filters | None = None) -> Objects:
        """Filters: dangling, driver, label, name. Sorted by name."""
        filters = filters or Filters()
        filters.validate({"dangling", "driver", "label", "name"})
        dangling = filters.boolean("dangling") if "dangling" in filters else None
        return [
            self._describe(record)
            for record in sorted(self._registry, key=lambda one: one.name)
            if filters.match("name", record.name)
            and filters.match_exact("driver", record.driver)
            and filters.match_kv("label", record.labels)
            and (dangling is None or dangling == (not self._registry.users(record.name)))
        ]

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Raises ``Conflict`` with Docker's words while a container uses it.

        ``force`` makes an unknown volume no error.
        """
        record = self._registry.find(name)
        if record is None:
            if force:
                return
            raise NotFound(f"get {name}: no such volume")
        if users := self._registry.users(name):
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(sorted(users))}]")
        self._delete(record)

    def _delete(self, record: VolumeRecord) -> None:
        self._registry.delete(record.name)
        self._local.unmount(record)
        self._local.remove(record.name)
        self._events.emit("volume", "destroy", record.name, {"driver": record.driver})

    async def prune(self, filters: Filters | None = None) -> Pruned:
        """Anonymous ones without users, or with ``all=1`` named ones too: (names, bytes).

        Clients before API 1.42 mean ``all=1``; the edge adds it for them.
        """
        filters = filters or Filters()
        filters.validate({"label", "label!", "all"})
        everything = filters.boolean("all")
        doomed = [
            record
            for record in self._registry
            if not self._registry.users(record.name)
            and (everything or record.anonymous)
            and filters.match_labels(record.labels)
        ]
        sizes = await self._local.sizes([record.name for record in doomed])
        removed, freed = [], 0
        for record in doomed:
            # meanwhile a container may have come, or another prune
            if self._registry.users(record.name) or self._registry.find(record.name) is not record:
                continue
            self._delete(record)
            removed.append(record.name)
            freed += sizes.get(record.name, 0)
        self._events.emit("volume", "prune", "", {"reclaimed": str(freed)})
        return removed, freed

    async def usage(self) -> Objects:
        """Every volume with ``UsageData`` (Size in bytes, RefCount), for ``/system/df``."""
        records = sorted(self._registry, key=lambda one: one.name)
        sizes = await self._local.sizes([record.name for record in records])
        return [
            self._describe(record)
            | {
                "UsageData": {
                    "Size": sizes.get(record.name, -1),
                    "RefCount": len(self._registry.users(record.name)),
                }
            }
            for record in records
        ]

    # -- containers ---------------------------------------------------------------------

    async def plan(
        self,
        container_id: str,
        config: ContainerConfig,
        host_config: HostConfig,
        image_volumes: Iterable[str],
        volumes_from: Callable[[str], Mounts],
    ) -> Mounts:
        """At create: validate mounts, make the volumes they name, say what will be mounted.

        ``image_volumes`` are the image's VOLUME paths; ``volumes_from(ref)`` returns the
        mounts of another container or raises ``NotFound``. Undoes itself if it fails.
        """
        planned = plan_mounts(config, host_config, image_volumes, volumes_from)
        for record in planned:
            _check_bind_source(record)
        try:
            for record in planned:
                if record.point.type == "volume":
                    self._name(container_id, record)
        except BaseException:
            await self.release(container_id, planned, remove_anonymous=True)
            raise
        return planned

    def _name(self, container_id: str, record: MountRecord) -> None:
        """Make the volume of a mount, or find it, and note who uses it."""
        point, options = record.point, record.spec.volume_options if record.spec else None
        if point.driver not in ("", "local"):
            # Not NotFound: a 404 from create makes the stock client pull the image.
            raise InvalidParameter(
                f'error looking up volume plugin {point.driver}: plugin "{point.driver}" not found'
            )
        driver_config = options.driver_config if options else None
        volume = self._make(
            point.name,
            dict((driver_config.options if driver_config else None) or {}),
            dict((options.labels if options else None) or {}),
            made_for="" if point.name else container_id,
        )
        point.name = volume.name
        point.driver = volume.driver
        point.source = str(self._local.mountpoint(volume.name))
        self._registry.use(volume.name, container_id)

    def needs_populate(self, mounts: Iterable[MountRecord]) -> bool:
        """Whether ``populate`` may have anything to copy; else no snapshot need be mounted."""
        return any(self._to_fill(record) for record in mounts)

    def _to_fill(self, record: MountRecord) -> bool:
        if record.point.type != "volume" or not record.copy_up:
            return False
        volume = self._registry.find(record.point.name)
        if volume is not None and device_mount(volume.options) is not None:
            return True  # empty or not shows once it is mounted
        return self._local.is_empty(record.point.name)

    async def populate(self, mounts: Iterable[MountRecord], rootfs: Path) -> None:
        """At create: copy the image's content into empty volumes with ``copy_up``.

        ``rootfs`` is the mounted snapshot. The copy runs in a jailed worker.
        """
        jail = self._paths.tmp / "jail"
        jail.mkdir(mode=0o700, exist_ok=True)
        for record in mounts:
            if not self._to_fill(record):
                continue
            volume = self._registry.get(record.point.name)
            async with self._mounted(volume):
                await copy_up(
                    rootfs, record.point.destination, self._local.mountpoint(volume.name), jail
                )

    def _mounted(self, volume: VolumeRecord) -> _Mounted:
        return _Mounted(self, volume)

    async def mount(self, container_id: str, mounts: Iterable[MountRecord]) -> None:
        """At start, before ``oci_mounts``: mount the devices of volumes that have one.

        Raises ``InvalidParameter`` with Docker's "failed to mount local volume".
        """
        for name in _volumes(mounts):
            volume = self._registry.find(name)
            if volume is None or device_mount(volume.options) is None:
                continue
            async with self._mounting:
                await self._local.mount(volume)
                self._active.setdefault(name, set()).add(container_id)

    def needs_mount(self, mounts: Iterable[MountRecord]) -> bool:
        """Whether ``mount`` has anything to do; a plain directory needs nothing."""
        return any(
            (volume := self._registry.find(name)) is not None
            and device_mount(volume.options) is not None
            for name in _volumes(mounts)
        )

    def oci_mounts(self, container_id: str, mounts: Iterable[MountRecord]) -> Objects:
        """At start: mounts for the runtime spec, sorted so that parents come first.

        The container's rootfs must be mounted. Makes missing sources of ``-v`` binds.
        Raises ``InvalidParameter`` for a source that is gone.
        """
        result = []
        for record in mounts:
            point = record.point
            if point.type == "bind":
                _make_bind_source(record)
            source = self._source(record)
            self._follow_dangling(container_id, point.destination, source)
            # Of a file crun can't do it (it opens what is there as a directory), and nothing is
            # mounted below a file.
            recursive = self._recursive_read_only and os.path.isdir(source)
            result.append(oci_mount(record, source, recursive_read_only=recursive))
            if point.type == "volume":
                self._active.setdefault(point.name, set()).add(container_id)
                self._events.emit(
                    "volume",
                    "mount",
                    point.name,
                    {
                        "container": container_id,
                        "destination": point.destination,
                        "driver": point.driver,
                        "propagation": point.propagation,
                        "read/write": str(point.rw).lower(),
                    },
                )
        return parents_first(result)

    def _follow_dangling(self, container_id: str, destination: str, source: str) -> None:
        """Make the target of a dangling symlink on the way to ``destination``.

        crun makes missing mount points, but refuses to follow such a link inside the rootfs.
        """
        try:
            root = os.open(self._paths.rootfs(container_id), os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            return
        try:
            if final_path(root, destination) != destination:
                is_directory = not source or os.path.isdir(source)
                os.close(make_mount_point(root, destination, is_directory=is_directory))
        except OSError as error:
            raise InvalidParameter(
                f"cannot make the mount point {destination}: {error.strerror}"
            ) from error
        finally:
            os.close(root)

    def view(self, mounts: Iterable[MountRecord]) -> Objects:
        """The mounts of a stopped container for ``files_worker.enter``, parents first.

        What has no content while it is stopped (tmpfs) or is gone is left out.
        """
        return [
            {
                "source": self._source(record),
                "target": record.point.destination,
                "read_only": not record.point.rw,
                "recursive": record.point.type == "bind",
            }
            for record in sorted(mounts, key=lambda one: one.point.destination.count("/"))
            if record.point.type != "tmpfs" and os.path.exists(record.point.source)
        ]

    def _source(self, record: MountRecord) -> str:
        """The host's path behind a mount, inside a volume for a subpath."""
        options = record.spec.volume_options if record.spec else None
        if record.point.type != "volume" or not options or not options.subpath:
            return record.point.source
        root = Path(record.point.source)
        try:
            fd = resolve_in_root(root, options.subpath, flags=os.O_PATH)
        except OSError as error:
            raise mount_error(
                "volume", f"cannot access path {root / options.subpath}: {error.strerror}"
            ) from error
        try:
            # Resolved once; what the container's other users do to the path later is theirs.
            return os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    async def stopped(self, container_id: str, mounts: Iterable[MountRecord]) -> None:
        """At exit: unmount devices that nobody needs any more; tells ``unmount``. Idempotent."""
        for name in _volumes(mounts):
            active = self._active.get(name)
            if active is None or container_id not in active:
                continue
            active.discard(container_id)
            if not active:
                del self._active[name]
                if (volume := self._registry.find(name)) is not None:
                    self._local.unmount(volume)
            self._events.emit(
                "volume", "unmount", name, {"container": container_id, "driver": "local"}
            )

    async def release(
        self, container_id: str, mounts: Iterable[MountRecord], *, remove_anonymous: bool
    ) -> None:
        """At removal of a container (or of a half-made one): its volumes have one user less.

        ``remove_anonymous``: those made for it alone go too, unless another container has
        come to use them.
        """
        mounts = [record for record in mounts if record.point.type == "volume"]
        await self.stopped(container_id, mounts)
        for record in mounts:
            name = record.point.name
            self._registry.unuse(name, container_id)
            volume = self._registry.find(name)
            if volume is None:
                continue
            if remove_anonymous and record.anonymous and not self._registry.users(name):
                self._delete(volume)
            elif volume.made_for == container_id:
                self._registry.put(msgspec.structs.replace(volume, made_for=""))


class _Mounted:
    """A volume whose device is mounted while we look into it."""

    def __init__(self, service: VolumeService, volume: VolumeRecord) -> None:
        self._service = service
        self._volume = volume
        self._key = f"populate {secrets.token_hex(8)}"

    async def __aenter__(self) -> None:
        async with self._service._mounting:
            await self._service._local.mount(self._volume)
            self._service._active.setdefault(self._volume.name, set()).add(self._key)

    async def __aexit__(self, *_: object) -> None:
        active = self._service._active[self._volume.name]
        active.discard(self._key)
        if not active:
            del self._service._active[self._volume.name]
            self._service._local.unmount(self._volume)


def _volumes(mounts: Iterable[MountRecord]) -> list[str]:
    """Names of the volumes among ``mounts``, each once."""
    return list(
        dict.fromkeys(
            record.point.name
            for record in mounts
            if record.point.type == "volume" and record.point.name
        )
    )


def _check_driver(driver: str) -> None:
    if driver not in ("", "local"):
        raise NotFound(f'error looking up volume plugin {driver}: plugin "{driver}" not found')


def _creates_source(record: MountRecord) -> bool:
    options = record.spec.bind_options if record.spec else None
    return bool(options and options.create_mountpoint)


def _check_bind_source(record: MountRecord) -> None:
    """A ``--mount type=bind`` wants its source to be there; a ``-v`` makes it."""
    if record.point.type == "bind" and not _creates_source(record):
        if not os.path.lexists(record.point.source):
            raise mount_error("bind", f"bind source path does not exist: {record.point.source}")


def _make_bind_source(record: MountRecord) -> None:
    source = record.point.source
    if os.path.exists(source):
        return
    _check_bind_source(record)
    try:
        os.makedirs(source, mode=0o755, exist_ok=True)
    except OSError as error:
        raise InvalidParameter(
            f"error while creating mount source path '{source}': mkdir {source}: "
            f"{(error.strerror or str(error)).lower()}"
        ) from error


def _kernel_at_least(major: int, minor: int) -> bool:
    with suppress(ValueError):
        numbers = platform.release().split(".")
        return (int(numbers[0]), int(numbers[1].split("-")[0])) >= (major, minor)
    return False
