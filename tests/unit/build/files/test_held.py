"""Sources in memory, and heredocs."""

from __future__ import annotations

import os

import pytest

from pierhead.build.files import inline
from pierhead.build.files.held import Packs
from pierhead.build.files.model import Inline
from pierhead.errors import InvalidParameter, NotFound, TooLarge


async def test_a_heredoc_is_a_source() -> None:
    held = inline.held([Inline(name="a", data=b"one"), Inline(name="d/b", data=b"two")])
    assert held.read("d/b", 10) == b"two"
    with pytest.raises(NotFound):
        held.read("c", 10)
    with pytest.raises(TooLarge):
        held.read("a", 2)
    with pytest.raises(InvalidParameter, match="not a regular file"):
        held.read("d", 10)
    parts = await held.collect(["a"], False, ())
    assert parts[0].name == b"a"
    assert await held.collect(["a"], False, ()) is parts
    held.close()
    held.close()


def test_packs_are_closed_with_their_last_user() -> None:
    closed: list[int] = []
    fd = os.memfd_create("pack")
    packs = Packs({0: fd}, lambda: closed.append(1))
    other = packs.share()
    packs.close()
    assert closed == []
    os.fstat(fd)
    other.close()
    assert closed == [1]
    with pytest.raises(OSError):
        os.fstat(fd)
