"""What a ``--cache-to`` asks for. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pierhead.build.export.attributes import Packing
from pierhead.build.export.model import StepRecord
from pierhead.build.model import CacheOption
from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.oci import reference
from pierhead.oci.reference import Reference

_KNOWN: Final = frozenset({
    "ref", "dest", "tag", "mode", "compression", "compression-level", "force-compression",
    "oci-mediatypes", "image-manifest", "ignore-error", "mounts", "digest",
})  # fmt: skip
_ABSENT: Final = frozenset({"gha", "s3", "azblob"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A ``--cache-to``, read."""

    type: str
    ref: Reference | None = None
    mode: str = "min"
    tag: str = "latest"
    packing: Packing = field(default_factory=Packing)
    mounts: bool | frozenset[str] = False
    ignore_error: bool = False


def wish(option: CacheOption) -> Wish:
    """Check the attributes. ``InvalidParameter``; ``NotImplementedYet`` for stores we can't."""
    given = option.attributes
    if option.type in _ABSENT:
        raise NotImplementedYet(
            f"--cache-to type={option.type} isn't supported: use registry, local or inline"
        )
    if option.type not in ("registry", "local", "inline"):
        raise InvalidParameter(f"unknown cache exporter: {option.type!r}")
    for key in given:
        if key not in _KNOWN:
            raise InvalidParameter(f'unknown attribute "{key}" of --cache-to type={option.type}')
    mode = given.get("mode", "min").lower()
    if mode not in ("min", "max"):
        raise InvalidParameter(f"invalid cache mode {mode!r}: want min or max")
    ref = None
    if option.type == "registry":
        if not given.get("ref"):
            raise InvalidParameter("registry cache exporter requires ref")
        ref = reference.parse(given["ref"]).with_default_tag()
    compression = given.get("compression", "gzip")
    if compression not in ("gzip", "zstd", "uncompressed"):
        raise NotImplementedYet(f"compression={compression} isn't supported: use gzip or zstd")
    level = given.get("compression-level", "")
    if level and not level.isdecimal():
        raise InvalidParameter(f"invalid compression-level {level!r}")
    mounts: bool | frozenset[str] = given.get("mounts", "").lower() in ("true", "1")
    if not mounts and given.get("mounts", "").lower() not in ("", "false", "0"):
        mounts = frozenset(given["mounts"].split(";"))
    return Wish(
        type=option.type,
        ref=ref,
        mode=mode,
        tag=given.get("tag") or "latest",
        packing=Packing(
            compression=compression,
            level=int(level) if level else None,
            force=_true(given, "force-compression"),
        ),
        mounts=mounts,
        ignore_error=_true(given, "ignore-error"),
    )


def _true(given: Mapping[str, str], key: str) -> bool:
    return given.get(key, "").lower() in ("true", "1")


def used_mounts(steps: Iterable[StepRecord], names: Iterable[str]) -> set[str]:
    """Which cache mounts the build's instructions name, by id or target."""
    texts = [each.instruction for each in steps if "type=cache" in each.instruction]
    return {name for name in names if any(name in text for text in texts)}
