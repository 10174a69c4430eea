"""Platforms: ``os/architecture[/variant]``, normalised as containerd does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pierhead.errors import InvalidParameter

_PART: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_ARCHITECTURES: Final = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "ppc64el": ("ppc64le", ""),
}
_KNOWN_ARCHITECTURES: Final = frozenset(
    "386 amd64 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le "
    "mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm".split()
)
_OSES: Final = frozenset({"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris"})


@dataclass(frozen=True, slots=True)
class Platform:
    """Normalised; ``variant`` is empty where there is only one."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def matches(self, os: str, architecture: str, variant: str = "") -> bool:
        """Whether an image for this os and architecture will do."""
        other = normalise(os or "linux", architecture, variant)
        return (
            self.os == other.os
            and self.architecture == other.architecture
            and (not self.variant or not other.variant or self.variant == other.variant)
        )


def normalise(os: str, architecture: str, variant: str = "") -> Platform:
    """Apply the usual aliases (``x86_64`` is ``amd64``, arm64's ``v8`` is no variant)."""
    os, architecture = os.lower(), architecture.lower()
    architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
    variant = variant.lower() or implied
    if architecture == "arm64" and variant in ("8", "v8"):
        variant = ""
    if architecture == "arm" and variant.isdigit():
        variant = f"v{variant}"
    if architecture == "amd64" and variant == "v1":
        variant = ""
    return Platform(os, architecture, variant)


def parse(text: str, default_architecture: str) -> Platform:
    """Parse what ``--platform`` takes. Raises ``InvalidParameter`` in containerd's words."""
    parts = text.split("/")
    for part in parts:
        if not _PART.fullmatch(part):
            raise InvalidParameter(
                f'"{part}" is an invalid component of "{text}": platform specifier component '
                'must match "^[A-Za-z0-9_-]+$": invalid argument'
            )
    if len(parts) > 3:
        raise InvalidParameter(f'"{text}": cannot parse platform specifier: invalid argument')
    if len(parts) == 1:
        if parts[0].lower() in _OSES:
            return normalise(parts[0], default_architecture)
        found = normalise("linux", parts[0])
        if found.architecture not in _KNOWN_ARCHITECTURES:
            raise InvalidParameter(
                f'"{text}": unknown operating system or architecture: invalid argument'
            )
        return found
    return normalise(parts[0], parts[1], parts[2] if len(parts) == 3 else "")


def of_machine(machine: str) -> Platform:
    """The platform of a Linux host by ``uname -m``."""
    variant = {"armv6l": "v6", "armv7l": "v7", "armv8l": "v8"}.get(machine, "")
    return normalise("linux", "arm" if variant else machine, variant)
