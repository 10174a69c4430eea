"""Engine API versions: which we speak, and how a request says which it wants.

All versions share the major number 1, so a version is kept as its minor number: an
``int`` from ``MIN_MINOR`` to ``MAX_MINOR``.
"""

from __future__ import annotations

import re
from typing import Final

from pierhead.errors import InvalidParameter

MIN_MINOR: Final = 24
MAX_MINOR: Final = 56
MIN_VERSION: Final = f"1.{MIN_MINOR}"
MAX_VERSION: Final = f"1.{MAX_MINOR}"

_PREFIX = re.compile(r"/v([0-9][0-9.]*)(/.*)")


def split_version(path: str) -> tuple[str | None, str]:
    """``/v1.41/info`` → ``("1.41", "/info")``; ``/info`` → ``(None, "/info")``."""
    match = _PREFIX.fullmatch(path) if path.startswith("/v") else None
    if match is None:
        return None, path
    return match[1], match[2]


def minor_of(version: str | None) -> int:
    """The minor number of ``version``; ours for None. Docker's errors when out of range."""
    if version is None:
        return MAX_MINOR
    wanted = _numbers(version)
    if wanted < (1, MIN_MINOR):
        raise InvalidParameter(
            f"client version {version} is too old. Minimum supported API version is "
            f"{MIN_VERSION}, please upgrade your client to a newer version"
        )
    if wanted > (1, MAX_MINOR):
        raise InvalidParameter(
            f"client version {version} is too new. Maximum supported API version is {MAX_VERSION}"
        )
    return wanted[1]


def _numbers(version: str) -> tuple[int, int]:
    parts = version.split(".")
    try:
        major = int(parts[0][:9])
        minor = int(parts[1][:9]) if len(parts) > 1 and parts[1] else 0
    except ValueError:
        major, minor = 0, 0
    return major, minor
