"""A step's output: passed on up to a limit, the end always."""

from __future__ import annotations

import os

from pierhead.build.execute.output import Bounded, Pipes


class Heard:
    def __init__(self) -> None:
        self.parts: list[tuple[int, bytes]] = []

    def __call__(self, stream: int, data: bytes) -> None:
        self.parts.append((stream, data))

    @property
    def text(self) -> bytes:
        return b"".join(data for _, data in self.parts)


def test_below_the_limit_all_is_passed_on_as_it_comes() -> None:
    heard = Heard()
    bounded = Bounded(heard, limit_bytes=10, tail_bytes=4)
    bounded.write(1, b"12345")
    bounded.write(2, b"67890")
    bounded.write(1, b"")
    bounded.close()
    assert heard.parts == [(1, b"12345"), (2, b"67890")]


def test_beyond_it_the_end_is_kept() -> None:
    heard = Heard()
    bounded = Bounded(heard, limit_bytes=2048, tail_bytes=4)
    bounded.write(1, b"a" * 2000)
    bounded.write(1, b"b" * 100)
    assert heard.text == b"a" * 2000 + b"b" * 48 + b"\n[output clipped, log limit 2KiB reached]\n"
    bounded.write(2, b"cd")
    bounded.write(1, b"ef")
    bounded.write(2, b"g")
    heard.parts.clear()
    bounded.close()
    assert heard.parts == [
        (2, b"[53 bytes are left out here]\n"),
        (2, b"d"),
        (1, b"ef"),
        (2, b"g"),
    ]
    heard.parts.clear()
    bounded.close()
    assert heard.parts == []


def test_nothing_is_said_of_a_gap_that_is_none() -> None:
    heard = Heard()
    bounded = Bounded(heard, limit_bytes=3, tail_bytes=10)
    bounded.write(1, b"123456")
    bounded.close()
    assert heard.text == b"123\n[output clipped, log limit 3B reached]\n456"


async def test_pipes_are_read_to_their_end() -> None:
    heard = Heard()
    pipes = Pipes(heard)
    os.write(pipes.stdout_fd, b"x" * 60_000)
    os.write(pipes.stderr_fd, b"error")
    pipes.started()
    pipes.drain()
    assert sorted(heard.parts) == [(1, b"x" * 60_000), (2, b"error")]
    pipes.close()
    pipes.close()
