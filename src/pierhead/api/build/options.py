"""The JSON of pier's own door: options in, events and results out. No IO."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pierhead.build.execute.model import StepFailed
from pierhead.build.model import (
    BuildOptions,
    BuildResult,
    Event,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
    Warned,
)
from pierhead.build.solve.errors import located
from pierhead.client import build_wire as wire
from pierhead.errors import InvalidParameter, PierError

ONLY_HERE: Final = frozenset({"context_tar", "call", "keep"})
CALLS: Final = ("check", "lint", "outline", "targets")
_FIELDS: Final = frozenset(field.name for field in dataclasses.fields(BuildOptions))
_TYPES: Final[dict[type[Event], str]] = {
    StepStarted: "started",
    StepDone: "done",
    StepLog: "log",
    StepProgress: "progress",
    Warned: "warning",
}


@dataclasses.dataclass(slots=True, kw_only=True)
class PierRequest:
    """What ``START`` says."""

    options: BuildOptions
    context_tar: bool = False
    call: str = ""
    """Describe instead of building: one of ``CALLS``."""
    keep: bool = False
    """Hold the solved build until the client leaves: others' contexts are ``solved://REF``."""


def read(given: Mapping[str, Any]) -> PierRequest:
    """``START``'s JSON. Raises ``InvalidParameter`` naming the field that doesn't fit."""
    unknown = sorted(given.keys() - _FIELDS - ONLY_HERE)
    if unknown:
        raise InvalidParameter(f"unknown build option {unknown[0]}")
    fields = {key: value for key, value in given.items() if key in _FIELDS and value is not None}
    try:
        options = msgspec.convert(fields, BuildOptions)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid build options: {error}") from error
    if options.classic or options.door:
        raise InvalidParameter("invalid build options: classic and door are not the client's")
    options.door = "pier"
    call = given.get("call") or ""
    if call and call not in CALLS:
        raise InvalidParameter(f"unknown call {call!r}: know {', '.join(CALLS)}")
    return PierRequest(
        options=options,
        context_tar=bool(given.get("context_tar")),
        call=str(call),
        keep=bool(given.get("keep")),
    )


def event(told: Event) -> dict[str, Any]:
    """An event as ``wire.EVENT_FIELDS`` says; what is empty is left out."""
    kind = _TYPES[type(told)]
    found: dict[str, Any] = {"type": kind}
    for name in wire.EVENT_FIELDS[kind]:
        value = getattr(told, name)
        if value:
            found[name] = _text(value) if isinstance(value, bytes) else value
    return found


def result(built: BuildResult) -> dict[str, Any]:
    """``RESULT``'s fields."""
    return {
        "ref": built.ref,
        "digest": built.digest,
        "images": [
            {"platform": image.platform, "id": image.id, "manifest": image.manifest}
            for image in built.images
        ],
        "metadata": built.metadata,
        "warnings": [event(warning) for warning in built.warnings],
    }


def failure(error: BaseException, ref: str) -> dict[str, Any]:
    """``FAILED``'s fields, with the lines of the Dockerfile it is about."""
    found: dict[str, Any] = {"kind": "internal", "message": str(error), "ref": ref}
    if isinstance(error, PierError):
        found.update(kind=error.kind, message=error.message)
    elif isinstance(error, Exception):
        found["message"] = f"internal error: {type(error).__name__}: {error}"
    if isinstance(error, StepFailed):
        found.update(exit_code=error.exit_code, debug_id=error.debug_id)
    place, source = located(error)
    if place is not None and source is not None:
        found.update(
            file=source.label(place).rpartition(":")[0],
            lines=[[place.first, place.last]],
            source="\n".join(source.lines(place.file)),
        )
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
