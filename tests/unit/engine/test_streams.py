"""The numbers of the streams are Docker's."""

from __future__ import annotations

from pierhead.engine import streams


def test_numbers() -> None:
    assert (streams.STDIN, streams.STDOUT, streams.STDERR) == (0, 1, 2)
