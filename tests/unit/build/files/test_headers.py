"""Fast headers are the slow ones."""

from __future__ import annotations

import random

from pierhead.build.files import headers
from pierhead.oci import tar
from pierhead.oci.tar import Header


def test_they_are_the_same_bytes() -> None:
    source = random.Random(5)
    names = [b"a", b"d/" + b"n" * 97, b"d/" + b"n" * 98, b"d/" + b"n" * 99, b"\xc3\xa9", b"x/" * 60]
    for _ in range(3000):
        header = Header(
            source.choice(names),
            source.choice([tar.REGULAR, tar.DIRECTORY, tar.SYMLINK, tar.HARDLINK, tar.FIFO]),
            source.choice([0o644, 0o7777, 0]),
            source.choice([0, 1000, 8**7 - 1, 8**7]),
            source.choice([0, 65534, 1 << 31]),
            source.choice([0, 12345, 8**11 - 1, 8**11]),
            source.choice([0, 1_700_000_000_123_456_789, -5, 1 << 70]),
            source.choice([b"", b"target", b"l" * 100, b"l" * 101, b"\xff"]),
            xattrs=source.choice([{}, {}, {b"user.a": b"1"}]),
        )
        assert headers.build(header) == tar.build_header(header)
