"""Frames and file records survive any way of being cut, and reject what is none."""

from __future__ import annotations

import random

import pytest

from pierhead.client import build_wire as wire

STATS: list[wire.Stat] = [
    (b"a", 0o100644, 1, 2, 3, 1_700_000_000_123_456_789, b"", False, (0, 0), ()),
    (b"d\xff", 0o040755, 0, 0, 0, -1, b"", False, (0, 0), (("user.a", b"1"), ("user.b", b""))),
    (b"d/l", 0o120777, 0, 0, 4, 0, b"../a", False, (0, 0), ()),
    (b"d/n", 0o020600, 0, 0, 0, 0, b"", False, (1, 3), ()),
    (b"h", 0o100644, 1, 2, 3, 5, b"a", True, (0, 0), ()),
]


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
        (wire.OPTIONS, 0, b"{}"),
        (wire.DATA, 7, b"x" * 100),
        (wire.END, 7, b""),
        (wire.FAIL, 2**32 - 1, b"{}"),
    ]
    frames = wire.Frames()
    got = []
    for part in cut(b"".join(wire.frame(*one) for one in sent), seed):
        got += list(frames.feed(part))
    assert got == sent
    assert not frames.partial


@pytest.mark.parametrize("seed", range(20))
def test_file_records_survive_any_cut(seed: int) -> None:
    stats = wire.Stats()
    got = []
    for part in cut(b"".join(map(wire.pack_stat, STATS)), seed):
        got += stats.feed(part)
    assert got == STATS
    assert not stats.partial


def test_an_unfinished_stream_is_seen() -> None:
    frames = wire.Frames()
    assert list(frames.feed(wire.frame(wire.DATA, 1, b"abc")[:-1])) == []
    assert frames.partial
    stats = wire.Stats()
    assert stats.feed(wire.pack_stat(STATS[1])[:-1]) == []
    assert stats.partial


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(wire.WireError, match="unknown type 0x47"):
        list(wire.Frames().feed(b"GET / HTTP/1.1\r\n"))
    with pytest.raises(wire.WireError, match="too long"):
        list(wire.Frames().feed(wire.frame(wire.DATA, 1)[:5] + b"\xff\xff\xff\xff"))
    with pytest.raises(wire.WireError):
        wire.parse_content(b"\0\0\0\1")


def test_a_content_request_names_its_walk() -> None:
    [(kind, stream, payload)] = wire.Frames().feed(wire.content_request(9, 4, b"a/b\xff"))
    assert (kind, stream) == (wire.CONTENT, 9)
    assert wire.parse_content(payload) == (4, b"a/b\xff")


def test_json_frames() -> None:
    [(_, stream, payload)] = wire.Frames().feed(wire.json_frame(wire.ASK, 3, {"what": "tar"}))
    assert (stream, payload) == (3, b'{"what":"tar"}')
