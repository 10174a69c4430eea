"""What pierd needs from the machine, checked before anything is touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

# What is looked for, and the Debian package that has it.
_NFTABLES: Final = "libnftables.so.1"


def missing(*, runtimes: dict[str, str], conmon: str, firewall: bool) -> list[str]:
    """Faults, each with the way out; empty when all is there."""
    faults = []
    if os.geteuid() != 0:
        return ["pierd needs to be root: it mounts file systems and makes namespaces"]
    for name, binary in runtimes.items():
        if shutil.which(binary) is None:
            faults.append(f"{binary} is missing (runtime {name}): apt-get install {name}")
    if shutil.which(conmon) is None:
        faults.append(f"{conmon} is missing: apt-get install conmon")
    if firewall and not _library(_NFTABLES):
        faults.append(
            f"{_NFTABLES} is missing: apt-get install libnftables1 (or start with --iptables=false)"
        )
    try:
        if "overlay" not in Path("/proc/filesystems").read_text().split():
            # Might be a module that loads at the first mount.
            modules = Path("/lib/modules") / os.uname().release
            if not list(modules.glob("kernel/fs/overlayfs/*")):
                faults.append("the kernel has no overlayfs: boot one that has (CONFIG_OVERLAY_FS)")
    except OSError as error:
        faults.append(f"/proc can't be read: {error}")
    return faults


def _library(name: str) -> bool:
    """A shared library of this name lies where the dynamic linker looks."""
    roots = [Path("/usr/lib"), Path("/lib"), Path("/usr/lib64"), Path("/usr/local/lib")]
    triplet = f"{os.uname().machine}-linux-gnu"
    return any((root / sub / name).exists() for root in roots for sub in ("", triplet))
