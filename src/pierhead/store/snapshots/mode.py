"""How this kernel mounts EROFS layers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErofsMode:
    """Found by ``choose.probe``."""

    loop: bool
    """Through loop devices, not from the files themselves (before Linux 6.12)."""
    detached: bool
    """overlayfs takes layers that are mounted nowhere (Linux 6.15)."""

    def __str__(self) -> str:
        return "loop" if self.loop else "file-backed"
