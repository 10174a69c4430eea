"""Where in the Dockerfile an error belongs: kept beside the error, whatever its kind. Pure.

A failed RUN stays a ``StepFailed``, a missing file a ``NotFound``; doors that draw the lines
around ask ``located``.
"""

from __future__ import annotations

from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Range, SourceText

_PLACE = "_pierhead_place"


def locate(error: BaseException, location: Range, source: SourceText) -> None:
    """Say where ``error`` happened; the first, innermost place counts."""
    if getattr(error, _PLACE, None) is None:
        setattr(error, _PLACE, (location, source))


def located(error: BaseException) -> tuple[Range | None, SourceText | None]:
    """The place of ``error``, if one is known."""
    if isinstance(error, BuildError) and error.location is not None:
        return error.location, error.source
    place: tuple[Range, SourceText] | None = getattr(error, _PLACE, None)
    return place if place is not None else (None, None)
