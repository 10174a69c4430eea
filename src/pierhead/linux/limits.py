"""What this process may give its children: capabilities, rlimits, the OOM score.

A pierd without CAP_SYS_RESOURCE (in a container, under a hardened unit) can't raise
limits. What is asked beyond is cut down with a warning, for a container with a slightly
lower limit serves better than none.
"""

from __future__ import annotations

from collections.abc import Sequence


def capabilities() -> list[str]:
    """This process's permitted capabilities by name, in the kernel's order."""
    raise NotImplementedError


def allowed_rlimits(
    wanted: Sequence[tuple[str, int, int]],
) -> tuple[list[tuple[str, int, int]], list[str]]:
    """(name, soft, hard) triples cut to what we may set, and warnings for those cut."""
    raise NotImplementedError


def allowed_oom_score_adj(wanted: int) -> tuple[int | None, list[str]]:
    """The score to put into the spec (None: leave as inherited), and warnings."""
    raise NotImplementedError
