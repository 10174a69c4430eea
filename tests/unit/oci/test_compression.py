from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
import zstandard

from pierhead.oci.compression import HEAD_BYTES, detect, layer_media_type


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (gzip.compress(b"x"), "gzip"),
        (bz2.compress(b"x"), "bzip2"),
        (lzma.compress(b"x"), "xz"),
        (zstandard.compress(b"x"), "zstd"),
        (b"\x50\x2a\x4d\x18\x00\x00\x00\x00", "zstd"),
        (b"plain text", "none"),
        (b"", "none"),
    ],
)
def test_formats_by_their_heads(data: bytes, name: str) -> None:
    assert detect(data[:HEAD_BYTES]) == name


def test_media_types() -> None:
    assert layer_media_type("zstd") == "application/vnd.oci.image.layer.v1.tar+zstd"
    assert layer_media_type("none") == "application/vnd.oci.image.layer.v1.tar"
    assert layer_media_type("xz") is None
