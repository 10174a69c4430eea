"""Entries and their names."""

from __future__ import annotations

import pytest

from pierhead.build.files import entries
from pierhead.build.files.entries import Entry
from pierhead.errors import InvalidParameter


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"./a//b/", b"a/b"), (b"/a", b"a"), (b"a/../b", b"b"), (b".", b""), (b"", b""),
        (b"a/./b", b"a/b"), (b"plain", b"plain"), (b"\xff/\xfe", b"\xff/\xfe"),
    ],
)  # fmt: skip
def test_clean(name: bytes, path: bytes) -> None:
    assert entries.clean(name) == path


@pytest.mark.parametrize("name", [b"../x", b"a/../../x", b"/..", b"n" * 256, b"a/" * 3000, b"a\0b"])
def test_names_that_lead_out_or_are_too_long(name: bytes) -> None:
    with pytest.raises(InvalidParameter, match="invalid context"):
        entries.clean(name)


def test_encoding_keeps_everything() -> None:
    entry = Entry(
        b"\xff", 0o100644, 1, 2, 3, 4, b"l", b"d" * 32, 5, 6, 7, (8, 9), {b"user.x": b"\0"}
    )
    (decoded,) = entries.decode(entries.encode([entry]))
    assert decoded == entry
    assert entry.moved(b"p").path == b"p"
    assert entry.stat(b"name").xattrs == {"user.x": b"\0"}


def test_attributes_of_the_file_system_are_left_out() -> None:
    kept = entries.content_xattrs({b"trusted.overlay.opaque": b"y", b"security.capability": b"c"})
    assert kept == {b"security.capability": b"c"}
