from __future__ import annotations

import random

import pytest

from pierhead.engine.containers.detach import DEFAULT_KEYS, DetachFilter, parse_keys
from pierhead.errors import InvalidParameter


def test_parse() -> None:
    assert parse_keys(None) == parse_keys("") == DEFAULT_KEYS == b"\x10\x11"
    assert parse_keys("ctrl-a,x") == b"\x01x"
    assert parse_keys("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_") == b"\x00\x1b\x1c\x1d\x1e\x1f"
    with pytest.raises(InvalidParameter, match="Invalid detach keys"):
        parse_keys("ctrl-1")
    with pytest.raises(InvalidParameter):
        parse_keys("ctrl-A")


def test_plain_input_passes() -> None:
    assert DetachFilter(b"\x10\x11").feed(b"hello") == (b"hello", False)


def test_detaches_over_several_reads() -> None:
    keys = DetachFilter(b"\x10\x11")
    assert keys.feed(b"a\x10") == (b"a", False)
    assert keys.feed(b"\x11b") == (b"", True)


def test_a_beginning_is_given_back() -> None:
    keys = DetachFilter(b"\x10\x11")
    assert keys.feed(b"\x10") == (b"", False)
    assert keys.feed(b"x") == (b"\x10x", False)
    assert keys.feed(b"\x10\x10\x11") == (b"\x10", True)


def test_nothing_is_lost_or_added() -> None:
    source = random.Random(3)
    for _ in range(300):
        data = bytes(source.choice(b"ab") for _ in range(source.randrange(40)))
        keys, out, detached = DetachFilter(b"aab"), b"", False
        rest = data
        while rest and not detached:
            cut = source.randrange(1, len(rest) + 1)
            piece, detached = keys.feed(rest[:cut])
            out += piece
            rest = rest[cut:]
        assert data.startswith(out)
        if b"aab" not in data:
            assert not detached
