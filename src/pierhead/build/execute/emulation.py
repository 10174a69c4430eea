"""Steps for another machine than this one: what the kernel's binfmt_misc knows of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pierhead.errors import InvalidParameter
from pierhead.oci.platform import Platform, normalise

_BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")
_QEMU: Final = {
    "386": "i386", "amd64": "x86_64", "arm": "arm", "arm64": "aarch64", "ppc64le": "ppc64le",
    "riscv64": "riscv64", "s390x": "s390x", "mips64le": "mips64el", "loong64": "loongarch64",
}  # fmt: skip
_NATIVE: Final = {("amd64", "386"), ("arm64", "arm")}
"""(machine, image): the kernel runs these itself."""


def interpreter(
    platform: Platform | None, *, machine: str = "", binfmt: Path = _BINFMT
) -> str | None:
    """The path of the emulator that must be in the step's file system; ``None``: no need.

    An emulator registered with the flag F is open already. Raises ``InvalidParameter``
    when nothing here runs the platform's programs.
    """
    if platform is None or not platform.architecture:
        return None
    here = normalise("linux", machine or os.uname().machine).architecture
    if platform.architecture == here or (here, platform.architecture) in _NATIVE:
        return None
    name = _QEMU.get(platform.architecture, platform.architecture)
    try:
        text = (binfmt / f"qemu-{name}").read_text()
    except OSError:
        text = ""
    lines = text.splitlines()
    if "enabled" not in lines:
        raise InvalidParameter(
            f"can't run a step for {platform} on linux/{here}: no emulator is registered in "
            f"{binfmt}. Install the packages qemu-user-static and binfmt-support"
        )
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    if "F" in flags:
        return None
    return next((line.partition(" ")[2] for line in lines if line.startswith("interpreter ")), None)
