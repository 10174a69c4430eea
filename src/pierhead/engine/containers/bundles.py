"""Deleting a bundle without ever entering what may be mounted in it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

MOUNT_POINTS: Final = ("rootfs", "shm")


def delete_bundle(bundle: Path) -> None:
    """Delete the directory; a mount point in it, and so the bundle, stays while it is in use.

    Blocking. Never recurses into a mount point: should somebody have mounted a container's
    files there, they must not be deleted. Idempotent.
    """
    try:
        entries = list(os.scandir(bundle))
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):
            if entry.name in MOUNT_POINTS:
                os.rmdir(entry.path)  # empty, or busy
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
    with suppress(OSError):
        os.rmdir(bundle)
