"""Which manifest of an index a platform wants: containerd's order of preference.

A machine also runs what was made for older variants of its architecture, and some run a
second architecture: amd64 runs 386, arm64 runs arm. The best match wins; a manifest that
names no platform is the last resort.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pierhead.oci.manifest import Descriptor, Index
from pierhead.oci.platform import Platform, normalise

_AMD64_LEVELS: Final = (
    # x86-64 psABI, "Micro-Architecture Levels", in the kernel's names
    ("v2", {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}),
    ("v3", {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    ("v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
)


def amd64_variant(flags: Collection[str]) -> str:
    """The level of an amd64 machine by the flags of its CPU; empty for the first."""
    found = ""
    for level, needed in _AMD64_LEVELS:
        if not needed.issubset(flags):
            break
        found = level
    return found


def of_host(host: Platform) -> Platform:
    """``host`` with the highest variant that its CPU runs (amd64: read from the kernel)."""
    if host.architecture != "amd64" or host.variant:
        return host
    try:
        with open("/proc/cpuinfo") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return host
    return Platform(host.os, host.architecture, amd64_variant(line.partition(":")[2].split()))


def preferences(wanted: Platform) -> list[Platform]:
    """All platforms whose images will do for ``wanted``, the best first."""
    os, architecture, variant = wanted.os, wanted.architecture, wanted.variant
    match architecture:
        case "amd64":
            found = _down(os, architecture, variant, lowest=2)
            return [*found, Platform(os, "amd64"), Platform(os, "386")]
        case "arm":
            return _down(os, architecture, variant or "v7", lowest=5)
        case "arm64":
            newer = [Platform(os, architecture, each) for each in _arm64(variant)]
            return [*newer, Platform(os, architecture), *_down(os, "arm", "v8", lowest=5)]
    return [wanted]


def _down(os: str, architecture: str, variant: str, *, lowest: int) -> list[Platform]:
    """``v7``, ``v6``, ``v5``; what isn't a number stands alone."""
    number = variant.removeprefix("v")
    if not number.isdigit() or len(number) > 2:
        return [Platform(os, architecture, variant)] if variant else []
    if int(number) < lowest:
        return [Platform(os, architecture, variant)]
    return [Platform(os, architecture, f"v{each}") for each in range(int(number), lowest - 1, -1)]


def _arm64(variant: str) -> list[str]:
    """Armv9.n runs all of Armv8.(n+5) and below (Arm ARM, "Architecture versions")."""
    major, _, minor = variant.removeprefix("v").partition(".")
    if major not in ("8", "9") or not (minor or "0").isdigit() or len(minor) > 1:
        return [variant] if variant else []
    nines = range(int(minor or 0), -1, -1) if major == "9" else ()
    top = int(minor or 0) + (5 if major == "9" else 0)
    eights = range(min(top, 9), 0, -1)
    return [*(f"v9.{each}" if each else "v9" for each in nines), *(f"v8.{each}" for each in eights)]


def choose(index: Index, wanted: Platform) -> list[Descriptor]:
    """The manifests of ``index`` that will do, the best first; empty if there is none."""
    order = {each: rank for rank, each in enumerate(preferences(wanted))}
    found: list[tuple[int, Descriptor]] = []
    for descriptor in index.manifests:
        named = descriptor.platform
        if named is None or not (named.os or named.architecture):
            found.append((len(order), descriptor))
            continue
        offered = normalise(named.os, named.architecture, named.variant)
        if offered.architecture == "arm" and not offered.variant:
            offered = Platform(offered.os, "arm", "v7")
        rank = order.get(offered)
        if rank is not None:
            found.append((rank, descriptor))
    return [descriptor for _, descriptor in sorted(found, key=lambda item: item[0])]
