"""What this process may give its children: capabilities, rlimits, the OOM score.

A pierd without CAP_SYS_RESOURCE (in a container, under a hardened unit) can't raise
limits. What is asked beyond is cut down with a warning, for a container with a slightly
lower limit serves better than none.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence

from pierhead.linux import syscalls as sc
from pierhead.oci.capabilities import ALL

RLIMIT_NAMES = {
    name.removeprefix("RLIMIT_").lower(): number
    for name, number in vars(resource).items()
    if name.startswith("RLIMIT_")
}
_UNLIMITED = resource.RLIM_INFINITY  # -1


def capabilities() -> list[str]:
    """This process's permitted capabilities by name, in the kernel's order."""
    mask = sc.permitted_capabilities()
    return [name for number, name in enumerate(ALL) if mask >> number & 1]


def _may_raise() -> bool:
    return "CAP_SYS_RESOURCE" in capabilities()


def allowed_rlimits(
    wanted: Sequence[tuple[str, int, int]],
) -> tuple[list[tuple[str, int, int]], list[str]]:
    """(name, soft, hard) triples cut to what we may set, and warnings for those cut."""
    if not wanted or _may_raise():
        return list(wanted), []
    allowed = []
    warnings = []
    for name, soft, hard in wanted:
        number = RLIMIT_NAMES.get(name.lower())
        ceiling = _UNLIMITED if number is None else resource.getrlimit(number)[1]
        if ceiling != _UNLIMITED and (hard < 0 or hard > ceiling):
            warnings.append(
                f"ulimit {name}: {hard} is above {ceiling}, the most that pierd may give without "
                "CAP_SYS_RESOURCE"
            )
            hard = ceiling
            if soft < 0 or soft > hard:
                soft = hard
        allowed.append((name, soft, hard))
    return allowed, warnings


def allowed_oom_score_adj(wanted: int) -> tuple[int | None, list[str]]:
    """The score to put into the spec (None: leave as inherited), and warnings."""
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        own = int(file.read())
    if wanted == own:
        return None, []
    if wanted > own or _may_raise():
        return wanted, []
    return None, [
        f"oom score {wanted} is below pierd's own {own} and can't be set without CAP_SYS_RESOURCE"
    ]


def total_memory_bytes() -> int:
    """The host's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
