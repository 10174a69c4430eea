"""Build arguments: global ones, those of platforms, proxies, and who may see which. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pierhead.build.dockerfile import words
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Dockerfile
from pierhead.oci.platform import Platform

PROXIES: Final = (
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
)
"""Predefined: RUN has them without any ARG, and they change no cache key."""

OPTIONS: Final = frozenset(
    {
        "BUILDKIT_CACHE_MOUNT_NS",
        "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
        "BUILDKIT_INLINE_CACHE",
        "BUILDKIT_MULTI_PLATFORM",
        "BUILDKIT_SANDBOX_HOSTNAME",
        "BUILDKIT_SYNTAX",
        "BUILDKIT_DOCKERFILE_CHECK",
        "BUILDKIT_BUILD_NAME",
        "SOURCE_DATE_EPOCH",
    }
)
"""Arguments that speak to the builder: no ARG needs to ask for them."""

NOT_IN_ENV: Final = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})


def platform_args(
    build: Platform, target: Platform, stage: str, overrides: Mapping[str, str]
) -> dict[str, str]:
    """``BUILDPLATFORM``, ``TARGETARCH`` and so on; build arguments of the same names win."""
    values = {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDOSVERSION": "",
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": str(target),
        "TARGETOS": target.os,
        "TARGETOSVERSION": "",
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage or "default",
    }
    return {key: overrides.get(key, value) for key, value in values.items()}


def global_args(
    dockerfile: Dockerfile, defaults: Mapping[str, str], build_args: Mapping[str, str]
) -> dict[str, str]:
    """What FROM lines may use: the platform's, and ARGs before the first FROM, in order.

    Raises ``BuildError`` at the ARG that can't be expanded.
    """
    known = dict(defaults)
    for arg in dockerfile.args:
        for pair in arg.pairs:
            if pair.key in build_args:
                known[pair.key] = build_args[pair.key]
            elif pair.value is not None:
                try:
                    known[pair.key] = words.expand(pair.value, known, escape=dockerfile.escape)
                except words.WordError as error:
                    raise BuildError(str(error), arg.location, dockerfile.source) from error
    return known


def proxies(build_args: Mapping[str, str]) -> list[str]:
    """``KEY=value`` for every proxy argument that was given, both cases of each."""
    found: dict[str, str] = {}
    for key in PROXIES:
        if key in build_args:
            found[key] = build_args[key]
    for key, value in list(found.items()):
        for twin in (key.lower(), key.upper()):
            found.setdefault(twin, value)
    return [f"{key}={value}" for key, value in found.items()]


def unused(build_args: Mapping[str, str], used: frozenset[str]) -> list[str]:
    """Arguments that nothing asked for, sorted: the classic builder's warning."""
    known = used | OPTIONS | set(PROXIES)
    return sorted(key for key in build_args if key not in known)
