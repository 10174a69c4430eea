"""Kept builds as BuildKit's history records, and their status once more. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.messages import Message
from pierhead.build.history import HistoryRecord

STARTED, COMPLETE, DELETED = range(3)
_UNKNOWN, _CANCELED = 2, 1
LOG_BYTES: Final = 256 << 10


def event_of(record: HistoryRecord) -> Message:
    """``BuildHistoryEvent``: how a build stands."""
    kind = STARTED if record.status == "running" else COMPLETE
    return messages.get("moby.buildkit.v1.BuildHistoryEvent")(type=kind, record=record_of(record))


def deleted(ref: str) -> Message:
    event = messages.get("moby.buildkit.v1.BuildHistoryEvent")(type=DELETED)
    event.record.Ref = ref
    return event


def record_of(record: HistoryRecord) -> Message:
    message = messages.get("moby.buildkit.v1.BuildHistoryRecord")(
        Ref=record.ref,
        Frontend="dockerfile.v0",
        pinned=record.pinned,
        numTotalSteps=len(record.steps),
        numCompletedSteps=sum(1 for step in record.steps if step.finished_ns),
        numCachedSteps=sum(1 for step in record.steps if step.cached),
        numWarnings=len(record.warnings),
    )
    for key, value in attributes_of(record).items():
        message.FrontendAttrs[key] = value
    messages.timestamp(message.CreatedAt, record.started_ns)
    if record.finished_ns:
        messages.timestamp(message.CompletedAt, record.finished_ns)
    if record.status == "canceled":
        message.error.code = _CANCELED
        message.error.message = record.error or "context canceled"
    elif record.status == "error":
        message.error.code = _UNKNOWN
        message.error.message = record.error
    if record.digest:
        message.ExporterResponse["containerimage.digest"] = record.digest
    if record.tags:
        message.ExporterResponse["image.name"] = ",".join(record.tags)
    return message


def attributes_of(record: HistoryRecord) -> Mapping[str, str]:
    """The frontend's attributes, as far as a client reads them back."""
    found = {f"build-arg:{key}": value for key, value in record.build_args.items()}
    found |= {f"label:{key}": value for key, value in record.labels.items()}
    found |= {f"vcs:{key.removeprefix('vcs:')}": value for key, value in record.vcs.items()}
    for key, value in (
        ("filename", record.dockerfile_name),
        ("target", record.target),
        ("platform", ",".join(record.platforms)),
        ("context", record.context if "://" in record.context else ""),
    ):
        if value:
            found[key] = value
    return found


def status_of(record: HistoryRecord, logs: Iterable[tuple[str, bytes]]) -> Iterable[Message]:
    """What ``Status`` answered while it ran: steps first, then their output."""
    response = messages.get("moby.buildkit.v1.StatusResponse")()
    for step in record.steps:
        vertex = response.vertexes.add(
            digest=step.id, name=step.name, inputs=step.inputs, cached=step.cached
        )
        vertex.error = "context canceled" if step.canceled else step.error
        messages.timestamp(vertex.started, step.started_ns)
        if step.finished_ns:
            messages.timestamp(vertex.completed, step.finished_ns)
    yield response
    started = {step.id: step.started_ns for step in record.steps}
    for step_id, data in logs:
        for start in range(0, len(data), LOG_BYTES):
            response = messages.get("moby.buildkit.v1.StatusResponse")()
            log = response.logs.add(vertex=step_id, stream=1, msg=data[start : start + LOG_BYTES])
            messages.timestamp(log.timestamp, started.get(step_id, record.started_ns))
            yield response


def matches(record: HistoryRecord, *, ref: str, active_only: bool) -> bool:
    """``ref`` may be empty, or the beginning of one."""
    if active_only and record.status != "running":
        return False
    return not ref or record.ref == ref or record.ref.startswith(ref)
