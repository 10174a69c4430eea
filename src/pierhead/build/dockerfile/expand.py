"""Variables in a whole instruction, by the rules of each kind. No IO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pierhead.build.dockerfile.model import Instruction

AnyInstruction = TypeVar("AnyInstruction", bound=Instruction)


def instruction(
    item: AnyInstruction,
    lookup: Mapping[str, str],
    *,
    escape: str = "\\",
    unmatched: set[str] | None = None,
) -> AnyInstruction:
    """The same with every word expanded that Docker expands (quotes and escapes go).

    RUN, CMD and ENTRYPOINT stay as they are (their shell expands; RUN's mounts are for
    ``mounts.parse``). COPY's and ADD's heredocs are expanded where they are not quoted. EXPOSE's
    words are split after expansion. ``BuildError`` at the instruction's place.
    """
    raise NotImplementedError
