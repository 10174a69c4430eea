"""Frames and listings survive any way of being cut, and reject what is none."""

from __future__ import annotations

import random

import pytest

from pierhead.client import build_wire as wire


def cut(data: bytes, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    parts = []
    while data:
        size = dice.randint(1, 40)
        parts.append(data[:size])
        data = data[size:]
    return parts


@pytest.mark.parametrize("seed", range(20))
def test_frames_survive_any_cut(seed: int) -> None:
    sent = [
        (wire.START, 0, b"{}"),
        (wire.DATA, 7, b"x" * 100),
        (wire.LAST, 7, b""),
        (wire.FAIL, 2**32 - 1, b"{}"),
    ]
    decoder = wire.Decoder()
    got = []
    for part in cut(b"".join(wire.frame(*one) for one in sent), seed):
        got += list(decoder.feed(part))
    assert got == sent
    assert not decoder.pending


def test_an_unfinished_frame_is_seen() -> None:
    decoder = wire.Decoder()
    assert list(decoder.feed(wire.frame(wire.DATA, 1, b"abc")[:-1])) == []
    assert decoder.pending


def test_a_frame_too_long_is_refused() -> None:
    head = wire.frame(wire.DATA, 1)[:5] + b"\xff\xff\xff\xff"
    with pytest.raises(wire.WireError, match="too long"):
        list(wire.Decoder().feed(head))
    with pytest.raises(wire.WireError, match="too long"):
        wire.frame(wire.DATA, 1, bytes(wire.PAYLOAD_LIMIT_BYTES + 1))


@pytest.mark.parametrize("size", [0, 1, wire.CHUNK_BYTES, 2 * wire.CHUNK_BYTES + 5])
@pytest.mark.parametrize("last", [False, True])
def test_long_data_goes_in_several_frames(size: int, last: bool) -> None:
    data = random.Random(size).randbytes(size)
    got = list(wire.Decoder().feed(wire.frames(5, data, last=last)))
    assert b"".join(payload for _, _, payload in got) == data
    assert [kind for kind, _, _ in got].count(wire.LAST) == int(last)
    if last:
        assert got[-1][0] == wire.LAST


def test_a_listing_comes_back_whole() -> None:
    entries = [
        wire.pack_entry(b"d\xff", 0o040755, mtime_ns=-1),
        wire.pack_entry(b"d/a", 0o100644, 3, 1_700_000_000_123_456_789),
        wire.pack_entry(b"d/l", 0o120777, link=b"../a\xfe"),
        wire.pack_entry(b"h", 0o100644, 3, 5, link=b"d/a", hard_link=True, uid=7, gid=8),
        wire.pack_entry(b"n", 0o020600, device=(1, 3), xattrs={"user.a": b"\0\xff"}),
    ]
    assert len(entries[1]) == 4
    [(kind, channel, payload)] = wire.Decoder().feed(b"".join(wire.pack_entries(9, entries)))
    assert (kind, channel) == (wire.DATA, 9)
    assert [tuple(entry) for entry in wire.unpack_entries(payload)] == [
        (b"d\xff", 0o040755, 0, -1, 0, 0, b"", False, 0, 0, {}),
        (b"d/a", 0o100644, 3, 1_700_000_000_123_456_789, 0, 0, b"", False, 0, 0, {}),
        (b"d/l", 0o120777, 0, 0, 0, 0, b"../a\xfe", False, 0, 0, {}),
        (b"h", 0o100644, 3, 5, 7, 8, b"d/a", True, 0, 0, {}),
        (b"n", 0o020600, 0, 0, 0, 0, b"", False, 1, 3, {"user.a": b"\0\xff"}),
    ]


def test_long_listings_go_in_several_frames() -> None:
    names = [b"%05d" % number + b"x" * 4000 for number in range(1200)]
    packed = b"".join(wire.pack_entries(1, (wire.pack_entry(name, 0o100644) for name in names)))
    found = [
        entry[0]
        for _, _, payload in wire.Decoder().feed(packed)
        for entry in wire.unpack_entries(payload)
    ]
    assert found == names


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b"[1]",
        b'[["a"]]',
        b'[["a","b"]]',
        b'[["a",1.5]]',
        b'[["a",true]]',
        b'[["a",1,1,1,1,1,"",0,0,0,{"x":1}]]',
        b"[",
        b'[["\\ud800",1,1,1]]',
        b"[" * 100_000,
    ],
)
def test_what_is_no_listing_is_refused(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.unpack_entries(payload)
