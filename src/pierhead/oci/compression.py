"""How compressed streams begin, and what layers compressed so are called. No IO."""

from __future__ import annotations

from typing import Final

MAGIC: Final = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
HEAD_BYTES: Final = 8
"""What ``detect`` needs to see."""

_OCI_SUFFIX: Final = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}


def detect(head: bytes) -> str:
    """The format by its first bytes: ``gzip``, ``bzip2``, ``xz``, ``zstd`` or ``none``."""
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    if len(head) >= 8 and head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return "zstd"  # begins with a skippable frame
    return "none"


def layer_media_type(fmt: str) -> str | None:
    """The OCI media type of a layer in this format; ``None`` if there is none (bzip2, xz)."""
    suffix = _OCI_SUFFIX.get(fmt)
    return None if suffix is None else f"application/vnd.oci.image.layer.v1.tar{suffix}"
