"""What pierd needs from the machine, checked before anything is touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def missing(*, runtimes: dict[str, str], conmon: str) -> list[str]:
    """Faults, each with the way out; empty when all is there."""
    faults = []
    if os.geteuid() != 0:
        return ["pierd needs to be root: it mounts file systems and makes namespaces"]
    for name, binary in runtimes.items():
        if shutil.which(binary) is None:
            faults.append(f"{binary} is missing (runtime {name}): apt-get install {name}")
    if shutil.which(conmon) is None:
        faults.append(f"{conmon} is missing: apt-get install conmon")
    try:
        if "overlay" not in Path("/proc/filesystems").read_text().split():
            # Might be a module that loads at the first mount.
            modules = Path("/lib/modules") / os.uname().release
            if not list(modules.glob("kernel/fs/overlayfs/*")):
                faults.append("the kernel has no overlayfs: boot one that has (CONFIG_OVERLAY_FS)")
    except OSError as error:
        faults.append(f"/proc can't be read: {error}")
    return faults
