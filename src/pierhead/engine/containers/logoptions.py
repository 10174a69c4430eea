"""``LogConfig``: which drivers there are and what their options mean (pure).

``json-file`` and ``local`` are one and the same here: conmon's k8s-file. Unlike Docker's
json-file it is rotated unless told otherwise: 10 MB, three files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pierhead.errors import InvalidParameter

DRIVERS: Final = ("json-file", "local", "none")
DEFAULT_MAX_SIZE_BYTES: Final = 10_000_000
DEFAULT_MAX_FILES: Final = 3
_COMMON: Final = frozenset({"env", "env-regex", "labels", "labels-regex", "tag", "mode",
                            "max-buffer-size", "cache-disabled", "cache-max-size",
                            "cache-max-file", "cache-compress"})  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How to keep one container's log. ``max_size_bytes`` -1: never rotate."""

    keep: bool = True
    max_size_bytes: int = DEFAULT_MAX_SIZE_BYTES
    max_files: int = DEFAULT_MAX_FILES


def parse_log_options(driver: str, options: Mapping[str, str] | None) -> LogOptions:
    """Raise ``InvalidParameter`` with Docker's words for unknown drivers and options."""
    options = options or {}
    if driver not in DRIVERS:
        raise InvalidParameter(f"logger: no log driver named '{driver}' is registered")
    if driver == "none":
        return LogOptions(keep=False)
    for key in options:
        if key not in _COMMON and key not in ("max-size", "max-file", "compress"):
            if driver == "local":
                raise InvalidParameter(f"unknown log opt '{key}' for log driver local")
            raise InvalidParameter(f"unknown log opt '{key}' for {driver} log driver")
    size = DEFAULT_MAX_SIZE_BYTES
    if "max-size" in options:
        size = -1 if options["max-size"] == "-1" else _size(options["max-size"])
    files = DEFAULT_MAX_FILES
    if "max-file" in options:
        text = options["max-file"]
        if not (text.isascii() and text.isdigit() and int(text) >= 1):
            raise InvalidParameter(f"invalid value for max-file: {text}: must be a number above 0")
        if size == -1 and int(text) > 1:
            raise InvalidParameter("max-file can't be more than 1 if max-size is -1 (unlimited)")
        files = int(text)
    if options.get("mode", "blocking") not in ("blocking", "non-blocking"):
        raise InvalidParameter(f"logger: logging mode not supported: {options['mode']}")
    return LogOptions(max_size_bytes=size, max_files=files)


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise InvalidParameter(f"invalid size: '{text}'")
    size = int(float(match[1]) * _UNITS[match[2].lower()])
    if size <= 0:
        raise InvalidParameter(f"max-size must be a positive number: '{text}'")
    return size


def details_of(options: Mapping[str, str] | None, env: list[str] | None,
               labels: Mapping[str, str] | None) -> dict[str, str]:  # fmt: skip
    """The extra attributes that ``docker logs --details`` shows for every line."""
    options = options or {}
    variables = dict(entry.partition("=")[::2] for entry in env or ())
    found: dict[str, str] = {}
    for key, source in (("labels", dict(labels or {})), ("env", variables)):
        for name in filter(None, options.get(key, "").split(",")):
            if name in source:
                found[name] = source[name]
        if pattern := options.get(f"{key}-regex"):
            try:
                found.update({n: v for n, v in source.items() if re.search(pattern, n)})
            except re.error:
                continue
    if tag := options.get("tag"):
        found["tag"] = tag
    return found
