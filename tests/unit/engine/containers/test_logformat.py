from __future__ import annotations

import random

from pierhead.engine.containers.logformat import (
    LogParser,
    rfc3339_nano,
    split_record,
    tail_offset,
    time_ns,
)
from pierhead.engine.streams import STDERR, STDOUT

STAMP = b"2026-01-02T03:04:05.123456789+01:00"


def record(text: bytes, stream: bytes = b"stdout", tag: bytes = b"F") -> bytes:
    return STAMP + b" " + stream + b" " + tag + b" " + text + b"\n"


def test_pieces_are_rejoined() -> None:
    entries = LogParser().feed(
        record(b"one") + record(b"tw", tag=b"P") + record(b"e", b"stderr") + record(b"o")
    )
    assert [(e.stream, e.data, e.first) for e in entries] == [
        (STDOUT, b"one\n", True),
        (STDOUT, b"tw", True),
        (STDERR, b"e\n", True),
        (STDOUT, b"o\n", False),
    ]


def test_any_portions_give_the_same() -> None:
    source = random.Random(1)
    data = b"".join(
        record(
            bytes(source.choice(b"ab c\r") for _ in range(source.randrange(20))),
            source.choice([b"stdout", b"stderr"]),
            source.choice([b"F", b"P"]),
        )
        for _ in range(200)
    )
    whole = LogParser().feed(data)
    for _ in range(20):
        parser, entries, rest = LogParser(), [], data
        while rest:
            cut = source.randrange(1, 200)
            entries += parser.feed(rest[:cut])
            rest = rest[cut:]
        assert entries == whole


def test_rubbish_never_raises() -> None:
    source = random.Random(2)
    for _ in range(2000):
        data = bytes(source.choice(b"2T: stdoutFP\n\0\xff") for _ in range(source.randrange(80)))
        for entry in LogParser().feed(data):
            time_ns(entry.timestamp)
        tail_offset(data, 3, 0, set())


def test_times() -> None:
    assert time_ns(STAMP) == 1767319445123456789
    assert time_ns(b"2026-01-02T02:04:05.123456789Z") == 1767319445123456789
    assert rfc3339_nano(1767319445123456789) == "2026-01-02T02:04:05.123456789Z"
    assert time_ns(b"nonsense") == time_ns(b"2026-01-02T03:04:05") == 0


def test_split_record() -> None:
    assert split_record(record(b"a b ")[:-1]) == (STAMP, STDOUT, True, b"a b ")
    assert split_record(b"x y z") is None
    assert split_record(STAMP + b" stdin F x") is None


def test_tail_counts_lines_not_records() -> None:
    data = record(b"one") + record(b"tw", tag=b"P") + record(b"o") + record(b"three")
    two = record(b"tw", tag=b"P") + record(b"o") + record(b"three")
    offset, seen = tail_offset(data, 2, 0, set())
    assert data[offset:] == two and seen == 2
    assert tail_offset(data, 3, 0, set()) == (-1, 3)


def test_tail_counts_an_unfinished_last_line() -> None:
    data = record(b"one") + record(b"prompt", tag=b"P")
    offset, _ = tail_offset(data, 1, 0, set())
    assert data[offset:] == record(b"prompt", tag=b"P")
