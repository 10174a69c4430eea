"""The local volume driver: a directory for each volume, with a device mounted on it if asked.

Layout: ``volumes/<name>/_data``. Removing renames the directory away first, so that a
volume is there or not, whatever happens in between; the files go in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pierhead import tasks
from pierhead.engine.volumes.model import VolumeRecord
from pierhead.engine.volumes.options import device_mount
from pierhead.errors import Internal, InvalidParameter
from pierhead.linux import mounts, syscalls, worker
from pierhead.store.paths import Paths

log = logging.getLogger(__name__)


class LocalDriver:
    """Volumes' directories."""

    def __init__(self, paths: Paths) -> None:
        self._volumes = paths.volumes
        self._tmp = paths.tmp

    def mountpoint(self, name: str) -> Path:
        return self._volumes / name / "_data"

    def make(self, name: str) -> None:
        """Make the directory. Idempotent."""
        self.mountpoint(name).parent.mkdir(mode=0o701, exist_ok=True)
        self.mountpoint(name).mkdir(mode=0o755, exist_ok=True)
        self.mountpoint(name).chmod(0o755)  # whatever the umask

    def remove(self, name: str) -> None:
        """Take the directory out of sight; its files are deleted in the background."""
        doomed = self._tmp / f"volume-{secrets.token_hex(8)}"
        try:
            os.rename(self._volumes / name, doomed)
        except FileNotFoundError:
            return
        except OSError as error:
            raise Internal(f"cannot remove the volume {name}: {error}") from error
        tasks.spawn(asyncio.to_thread(shutil.rmtree, doomed, True), name=f"delete volume {name}")

    def remove_strays(self, known: Collection[str]) -> None:
        """At start: directories whose volume has no record any more."""
        for entry in os.listdir(self._volumes):
            if entry not in known:
                log.info("removing a left-over volume", extra={"volume": entry})
                with suppress(OSError):
                    mounts.unmount(self.mountpoint(entry), lazy=True)
                self.remove(entry)

    def is_empty(self, name: str) -> bool:
        try:
            with os.scandir(self.mountpoint(name)) as entries:
                return next(entries, None) is None
        except OSError:
            return False

    async def mount(self, record: VolumeRecord) -> None:
        """Mount the device of a volume that has one. Idempotent.

        In a thread: a network file system may keep us waiting. Raises ``InvalidParameter``.
        """
        plan = device_mount(record.options)
        target = self.mountpoint(record.name)
        if plan is None or mounts.is_mountpoint(target):
            return
        try:
            await asyncio.to_thread(
                syscalls.mount, plan.device, target, plan.fstype, plan.flags, plan.data
            )
        except OSError as error:
            raise InvalidParameter(
                f"failed to mount local volume: mount {plan.device}:{target}, flags: "
                f"{plan.flags:#x}"
                + (f", data: {plan.data}" if plan.data else "")
                + f": {(error.strerror or str(error)).lower()}"
            ) from error

    def unmount(self, record: VolumeRecord) -> None:
        """Undo ``mount``. Idempotent."""
        if device_mount(record.options) is not None:
            with suppress(OSError):
                mounts.unmount(self.mountpoint(record.name), lazy=True)

    async def sizes(self, names: list[str]) -> dict[str, int]:
        """Bytes on disk of each volume, counted in a worker."""
        if not names:
            return {}
        counted: dict[str, int] = await worker.call(
            "store.trees:disk_usage",
            {"roots": {name: name + "/_data" for name in names}},
            jail=self._volumes,
        )
        return counted
