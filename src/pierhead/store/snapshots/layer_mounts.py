"""The mounted layers of the EROFS driver: each once, counted, seen through descriptors.

A mount lives as a detached fsmount(2) descriptor of ours, so the mount table stays clean
and whatever kills us unmounts it. Overlays keep what they stand on by themselves; ours is
kept besides, so that the next container finds the same mount with its page cache (two
mounts of one file share nothing). What no overlay of this pierd stands on is idle; of
those the latest few stay.

Before Linux 6.15 overlayfs refuses layers that are mounted nowhere: then they are attached
below a directory of the exec root, which ``recover`` clears after a kill.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pierhead.linux import mounts
from pierhead.linux import syscalls as sc

IDLE_LIMIT: Final = 128
"""Mounts kept though nothing needs them now: one descriptor each."""


class LayerMount:
    """One mounted file. ``path`` shows its tree while it is pinned."""

    __slots__ = ("attached", "fd", "file_id", "gone", "path", "pins")

    def __init__(self, fd: int, file_id: tuple[int, int], attached: Path | None) -> None:
        self.fd = fd
        self.file_id = file_id
        self.attached = attached
        self.path = Path(f"/proc/self/fd/{fd}")
        self.pins = 0
        self.gone = False


class LayerMounts:
    """For the event loop's thread alone."""

    def __init__(
        self, *, loop: bool, attach_at: Path | None, close: Callable[[Callable[[], None]], object]
    ) -> None:
        """``close`` runs what may take a while (the page cache goes with a mount) elsewhere."""
        self._loop = loop
        self._attach_at = attach_at
        self._close = close
        self._by_path: dict[Path, LayerMount] = {}
        self._by_file: dict[tuple[int, int], LayerMount] = {}
        self._idle: dict[LayerMount, None] = {}
        self._number = 0

    def pin(self, files: Sequence[Path]) -> list[LayerMount]:
        """Mount the layer files (those not mounted yet), topmost first; each at most once.

        Layers of equal content are one file. Where one stands in a stack twice the kernel
        refuses it (ELOOP), and the lower one shows nothing that the upper doesn't.
        """
        pinned: dict[LayerMount, None] = {}
        try:
            for file in files:
                mount = self._by_path.get(file) or self._open(file)
                if mount in pinned:
                    continue
                if not mount.pins:
                    self._idle.pop(mount, None)
                mount.pins += 1
                pinned[mount] = None
        except BaseException:
            self.unpin(list(pinned))
            raise
        return list(pinned)

    def _open(self, file: Path) -> LayerMount:
        info = os.stat(file)
        file_id = (info.st_dev, info.st_ino)
        mount = self._by_file.get(file_id)
        if mount is None:
            fd = mounts.detached_image(file, loop=self._loop)
            try:
                attached = self._attach(fd)
            except BaseException:
                os.close(fd)
                raise
            mount = LayerMount(fd, file_id, attached)
            self._by_file[file_id] = mount
        self._by_path[file] = mount
        return mount

    def _attach(self, fd: int) -> Path | None:
        if self._attach_at is None:
            return None
        self._number += 1
        target = self._attach_at / str(self._number)
        target.mkdir(parents=True)
        sc.move_mount(fd, target)
        return target

    def unpin(self, pinned: Sequence[LayerMount]) -> None:
        """What ``pin`` gave is not needed any more."""
        for mount in pinned:
            mount.pins -= 1
            if mount.pins:
                continue
            if mount.gone:
                self._drop(mount)
            else:
                self._idle[mount] = None
        while len(self._idle) > IDLE_LIMIT:
            oldest = next(iter(self._idle))
            self._forget(oldest)
            self._drop(oldest)

    def forget(self, file: Path) -> None:
        """The file will be deleted: unmount it, unless it has another name in use."""
        mount = self._by_path.pop(file, None)
        if mount is None or mount in self._by_path.values():
            return
        self._forget(mount)
        if mount.pins:
            mount.gone = True
        else:
            self._drop(mount)

    def _forget(self, mount: LayerMount) -> None:
        self._idle.pop(mount, None)
        self._by_file.pop(mount.file_id, None)
        for file in [file for file, other in self._by_path.items() if other is mount]:
            del self._by_path[file]

    def _drop(self, mount: LayerMount) -> None:
        if mount.attached is not None:
            mounts.unmount(mount.attached, lazy=True)
            with contextlib.suppress(OSError):
                os.rmdir(mount.attached)
        fd = mount.fd
        self._close(lambda: os.close(fd))

    def close(self) -> None:
        """Give all up; what containers stand on stays, for they have it by themselves."""
        for mount in list(self._by_file.values()):
            self._forget(mount)
            self._drop(mount)


def clear(attach_at: Path) -> None:
    """Detach what a pierd that was killed had attached."""
    with contextlib.suppress(FileNotFoundError):
        entries = os.listdir(attach_at)
        if entries:
            mounts.unmount_below(attach_at)
        for name in entries:
            with contextlib.suppress(OSError):
                os.rmdir(attach_at / name)
