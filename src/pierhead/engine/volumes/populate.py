"""Copy-up: an empty volume gets what the image has at its place."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pierhead.linux import worker
from pierhead.linux.paths import resolve_in_root

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


async def copy_up(rootfs: Path, destination: str, volume: Path, jail: Path) -> None:
    """Fill the empty directory ``volume`` from ``destination`` inside ``rootfs``.

    The volume's own owner, mode and times become the image directory's even when that
    is empty. Nothing happens when the image has no directory there. The copy runs in a
    worker confined to ``jail``, an empty directory: it gets the two by descriptor.
    """
    try:
        source = resolve_in_root(rootfs, destination, flags=_DIRECTORY)
    except OSError:  # nothing there, or no directory
        return
    try:
        target = os.open(volume, _DIRECTORY)
        try:
            if not _has_entries(source):
                _copy_ownership(source, target)
            elif not _has_entries(target):
                await worker.call(
                    "store.trees:copy_tree",
                    {"source_fd": source, "target_fd": target},
                    jail=jail,
                    pass_fds=(source, target),
                )
        finally:
            os.close(target)
    finally:
        os.close(source)


def _has_entries(fd: int) -> bool:
    with os.scandir(fd) as entries:
        return next(entries, None) is not None


def _copy_ownership(source: int, target: int) -> None:
    info = os.fstat(source)
    os.fchown(target, info.st_uid, info.st_gid)
    os.fchmod(target, info.st_mode & 0o7777)
    with suppress(OSError):
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
