"""Text to stages of instructions. No IO but ``include``."""

from __future__ import annotations

from collections.abc import Callable

from pierhead.build.dockerfile.model import Dockerfile, Instruction, Range


def parse(
    data: bytes, *, name: str = "Dockerfile", include: Callable[[str], bytes] | None = None
) -> Dockerfile:
    """``BuildError`` with BuildKit's words, place and suggestion.

    ``include`` reads a file of the context for ``INCLUDE path`` (under ``# pier: include``); it
    may raise ``PierError``.
    """
    raise NotImplementedError


def parse_instruction(
    text: str, *, escape: str = "\\", location: Range | None = None
) -> Instruction:
    """One instruction with its heredocs: an ONBUILD trigger of a base image, or ``--change``.

    ``BuildError`` for what can't be parsed.
    """
    raise NotImplementedError
