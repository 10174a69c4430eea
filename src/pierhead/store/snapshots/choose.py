"""Which snapshotter serves a data root, and why: asked, kept, or the best that works."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pierhead.errors import Unavailable
from pierhead.linux import mounts
from pierhead.linux import syscalls as sc
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots.mode import ErofsMode
from pierhead.store.snapshots.stacked import StackedSnapshotter

log = logging.getLogger(__name__)

DRIVERS = ("erofs", "overlay2")

_PANICS = ("6.12.0", "6.12.1")
"""Kernels that die of an image mounted from its file (CVE-2024-56750)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A driver, and in a few words why it is this one; ``mode`` only for ``erofs``."""

    driver: str
    why: str
    mode: ErofsMode | None = None

    @property
    def status(self) -> list[list[str]]:
        """For ``DriverStatus`` of ``info``: pairs of name and value, overlay2's as Docker's."""
        if self.mode is not None:
            return [
                ["Layers", f"mounted, {self.mode}"],
                ["Unpacked", "never"],
                ["Chosen", self.why],
            ]
        return [
            ["Supports d_type", "true"],
            ["Using metacopy", "false"],
            ["Native Overlay Diff", "true"],
            ["userxattr", "false"],
            ["Chosen", self.why],
        ]


def choose(asked: str, paths: Paths, db: Database) -> Choice:
    """``asked`` is ``erofs``, ``overlay2`` or "" for the best.

    Whatever the data root holds stays usable: a driver that doesn't have its layers is
    refused (``Unavailable``), and so is one that this kernel can't do.
    """
    held = _held(db)
    others = {driver: what for driver, what in held.items() if driver != asked}
    if asked and others:
        driver, what = next(iter(others.items()))
        raise Unavailable(
            f"--storage-driver {asked}: {paths.data_root} holds {what} of the driver {driver}; "
            "leave the option out to go on with them, or choose another --data-root"
        )
    driver = asked or next((name for name in DRIVERS if name in held), "")
    why = "asked for" if asked else "the data root's" if driver else ""
    if driver == "overlay2":
        return Choice(driver, why)
    mode, reason = probe(paths)
    if mode is not None:
        return Choice("erofs", why or "this kernel mounts it", mode)
    if driver == "erofs":
        hint = "boot a kernel that can" if held else "leave --storage-driver out"
        raise Unavailable(f"the storage driver erofs doesn't work here: {reason}; {hint}")
    return Choice("overlay2", f"no erofs: {reason}")


def open_snapshotter(choice: Choice, paths: Paths, db: Database) -> StackedSnapshotter:
    """The snapshotter that was chosen; only its module is imported."""
    if choice.mode is not None:
        from pierhead.store.snapshots.erofs import ErofsSnapshotter

        return ErofsSnapshotter(paths, db, choice.mode)
    from pierhead.store.snapshots.overlay import OverlaySnapshotter

    return OverlaySnapshotter(paths, db)


def _held(db: Database) -> dict[str, str]:
    """Driver to what the data root holds of it, for a message."""
    held: dict[str, list[str]] = {}
    for table, name in (("snapshots", "container"), ("layers", "layer")):
        for driver, count in db.rows(f"SELECT driver, count(*) FROM {table} GROUP BY driver"):
            held.setdefault(driver, []).append(f"{count} {name}{'s' * (count != 1)}")
    return {driver: " and ".join(what) for driver, what in held.items()}


def probe(paths: Paths) -> tuple[ErofsMode | None, str]:
    """How EROFS works here, or ``None`` and why it doesn't. Takes about a millisecond.

    A tiny image of 512-byte blocks is mounted and stacked, in the data root, as layers are.
    """
    from pierhead.store.snapshots.probe_image import probe_image

    directory = paths.tmp / f"probe-{secrets.token_hex(4)}"
    directory.mkdir()
    try:
        images = [directory / "1.erofs", directory / "2.erofs"]
        for number, image in enumerate(images, start=1):
            image.write_bytes(probe_image(number))
        return _probe(paths, images)
    finally:
        for name in os.listdir(directory):
            with contextlib.suppress(OSError):
                os.unlink(directory / name)
        with contextlib.suppress(OSError):
            os.rmdir(directory)


def _probe(paths: Paths, images: Sequence[Path]) -> tuple[ErofsMode | None, str]:
    reason = ""
    for loop in (False, True):
        if not loop and panics(os.uname().release):
            continue
        try:
            fds = _mount(images, loop=loop)
        except OSError as error:
            reason = _words(error)
            if error.errno in (errno.ENODEV, errno.ENOSYS, errno.EPERM):
                break  # no EROFS, no fsopen, or not allowed: loop devices don't help
            continue
        try:
            detached = _stacks(fds, paths.tmp)
            if not detached:
                _check_attached(fds, paths)
            return ErofsMode(loop=loop, detached=detached), ""
        except OSError as error:
            reason = _words(error)
        finally:
            for fd in fds:
                os.close(fd)
    return None, reason


def panics(release: str) -> bool:
    """Whether a kernel of this name must not mount an image from its file."""
    match = re.match(r"\d+\.\d+(\.\d+)?", release)
    return match is not None and (match[0] in _PANICS or release.startswith("6.12-"))


def _words(error: OSError) -> str:
    if error.errno == errno.ENODEV:
        return "the kernel has no EROFS"
    return error.strerror or str(error)


def _mount(images: Sequence[Path], *, loop: bool) -> list[int]:
    fds: list[int] = []
    try:
        for image in images:
            fds.append(mounts.detached_image(image, loop=loop))
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return fds


def _stacks(fds: Sequence[int], place: Path) -> bool:
    """Whether overlayfs takes mounts that are nowhere."""
    view = place / f"view-{secrets.token_hex(4)}"
    view.mkdir()
    try:
        mounts.mount_overlay(view, [Path(f"/proc/self/fd/{fd}") for fd in fds], None, None)
        try:
            return _reads(view)
        finally:
            mounts.unmount(view, lazy=True)
    except OSError:
        return False
    finally:
        view.rmdir()


def _reads(view: Path) -> bool:
    from pierhead.store.snapshots.probe_image import CONTENT, NAME

    return (view / NAME).read_bytes() == CONTENT


def _check_attached(fds: Sequence[int], paths: Paths) -> None:
    """Raise ``OSError`` unless overlayfs takes them when they are mounted somewhere."""
    targets: list[Path] = []
    try:
        for fd in fds:
            target = paths.layer_mounts / f"probe-{secrets.token_hex(4)}"
            target.mkdir(parents=True)
            targets.append(target)
            sc.move_mount(fd, target)
        if not _stacks(fds, paths.tmp):
            raise OSError(errno.EINVAL, "overlayfs refuses EROFS layers")
    finally:
        for target in targets:
            mounts.unmount(target, lazy=True)
            target.rmdir()
