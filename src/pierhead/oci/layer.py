"""Rules for layer tars: whiteouts and names (OCI image-spec, layer.md). No IO."""

from __future__ import annotations

from typing import Final

from pierhead.errors import InvalidParameter

WHITEOUT_PREFIX: Final = b".wh."
OPAQUE_MARK: Final = b".wh..wh..opq"
META_PREFIX: Final = b".wh..wh."
"""What aufs kept for itself (hard link store and the like); not content."""
PATH_LIMIT: Final = 4095


def clean_name(name: bytes) -> bytes:
    """A member's name as a relative path without ``.``, ``..`` and double slashes; b"" = root.

    ``a/../b`` is ``b``; a name that climbs out of the root is refused.
    """
    if not (b"./" in name or b"//" in name or name.endswith(b".") or name.startswith(b"/")):
        cleaned = name.rstrip(b"/")
        if len(cleaned) > PATH_LIMIT:
            raise InvalidParameter(f"invalid tar entry: name of {len(cleaned)} bytes is too long")
        return cleaned
    parts: list[bytes] = []
    rooted = name.startswith(b"/")
    for part in name.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            if parts:
                parts.pop()
            elif not rooted:
                raise InvalidParameter(
                    f"invalid tar entry: name {show(name)} points outside of the root"
                )
            continue
        parts.append(part)
    cleaned = b"/".join(parts)
    if len(cleaned) > PATH_LIMIT:
        raise InvalidParameter(f"invalid tar entry: name of {len(cleaned)} bytes is too long")
    return cleaned


def whiteout_target(base: bytes) -> bytes | None:
    """The name that ``.wh.<name>`` deletes; None if ``base`` is no whiteout.

    Raises ``InvalidParameter`` for one that would delete ``.``, ``..`` or nothing.
    """
    if not base.startswith(WHITEOUT_PREFIX):
        return None
    target = base[len(WHITEOUT_PREFIX) :]
    if target in (b"", b".", b".."):
        raise InvalidParameter(f"invalid whiteout name: {show(base)}")
    return target


def show(name: bytes) -> str:
    """A name for a message: quoted, bad bytes escaped, cut to a sane length."""
    return repr(name[:200].decode("utf-8", "backslashreplace"))
