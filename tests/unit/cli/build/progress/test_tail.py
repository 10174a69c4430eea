from __future__ import annotations

import random

from pierhead.cli.build.progress.tail import Tail


def shown(data: bytes, height: int = 6, width: int = 20) -> list[str]:
    tail = Tail(height, width)
    tail.write(data)
    return tail.shown()


def test_the_last_lines() -> None:
    assert shown(b"".join(b"%d\n" % n for n in range(100)), height=3) == ["97", "98", "99"]


def test_what_moves_the_cursor() -> None:
    assert shown(b"10%\r20%\rdone\n") == ["done"]
    assert shown(b"ab\bc\tx") == ["ac      x"]
    assert shown(b"long\r\x1b[Kx") == ["x"]


def test_long_lines_wrap() -> None:
    assert shown(b"x" * 25, width=10) == ["x" * 10, "x" * 10, "x" * 5]


def test_sequences_are_dropped() -> None:
    assert shown(b"\x1b[1;31ma\x1b[0m\x1b]8;;http://x\x1b\\b\x1b(Bc\x00\x7f") == ["abc"]


def test_letters_may_be_cut_anywhere() -> None:
    data = "aé€😀z\x1b[31mß\n".encode()
    for seed in range(20):
        dice = random.Random(seed)
        tail = Tail(6, 40)
        rest = data
        while rest:
            size = dice.randint(1, 3)
            tail.write(rest[:size])
            rest = rest[size:]
        assert tail.shown() == ["aé€😀zß"]


def test_anything_may_come() -> None:
    dice = random.Random(1)
    tail = Tail(3, 10)
    for _ in range(300):
        tail.write(dice.randbytes(dice.randint(0, 50)))
        tail.resize(dice.randint(0, 5), dice.randint(-1, 20))
        assert all(len(line) <= tail.width for line in tail.shown())
    assert len(tail.lines) <= 1001
