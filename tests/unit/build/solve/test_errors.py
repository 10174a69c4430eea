"""Errors and their places."""

from __future__ import annotations

from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Range, SourceText
from pierhead.build.solve.errors import locate, located
from pierhead.errors import NotFound

SOURCE = SourceText("Dockerfile", b"FROM x\n")


def test_the_innermost_place_counts() -> None:
    error = NotFound("x")
    assert located(error) == (None, None)
    locate(error, Range(2, 3), SOURCE)
    locate(error, Range(9, 9), SOURCE)
    assert located(error) == (Range(2, 3), SOURCE)


def test_the_parsers_errors_know_theirs() -> None:
    assert located(BuildError("x", Range(1, 1), SOURCE)) == (Range(1, 1), SOURCE)
