"""What a build tells, as BuildKit's status responses. No IO.

BuildKit tells a *vertex* whole each time something about it changes, so what began a step is
kept for when it ends. Timestamps are set only where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.messages import Message
from pierhead.build.model import (
    Event,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
    Warned,
)

DEFINITION: Final = "[internal] load build definition"


class Translator:
    """One build's steps, as far as they were told."""

    def __init__(self) -> None:
        self._steps: dict[str, StepStarted] = {}
        self._definition = ""

    def response(self, events: Iterable[Event]) -> Message:
        """One ``StatusResponse`` for some events, in their order."""
        response = messages.get("moby.buildkit.v1.StatusResponse")()
        for event in events:
            match event:
                case StepStarted():
                    self._started(event)
                    self._vertex(response, event)
                case StepDone():
                    self._done(response, event)
                case StepLog():
                    log = response.logs.add(vertex=event.step, stream=event.stream, msg=event.data)
                    messages.timestamp(log.timestamp, event.time_ns)
                case StepProgress():
                    self._progress(response, event)
                case Warned():
                    self._warned(response, event)
                case _:
                    pass
        return response

    def _started(self, event: StepStarted) -> None:
        self._steps[event.step] = event
        if event.name.startswith(DEFINITION) or not self._definition:
            self._definition = event.step

    def _vertex(self, response: Message, event: StepStarted) -> Message:
        vertex = response.vertexes.add(digest=event.step, name=event.name, inputs=event.inputs)
        messages.timestamp(vertex.started, event.time_ns)
        return vertex

    def _done(self, response: Message, event: StepDone) -> None:
        started = self._steps.get(event.step)
        if started is None:
            return
        vertex = self._vertex(response, started)
        vertex.cached = event.cached
        vertex.error = "context canceled" if event.canceled else event.error
        messages.timestamp(vertex.completed, event.time_ns)

    @staticmethod
    def _progress(response: Message, event: StepProgress) -> None:
        if not event.id:
            return  # a note for the classic door
        status = response.statuses.add(
            ID=event.id,
            vertex=event.step,
            name=event.action,
            current=event.current,
            # BuildKit doesn't know how much a client will send.
            total=0 if event.id.startswith("transferring") else event.total,
        )
        messages.timestamp(status.timestamp, event.time_ns)
        if event.started_ns:
            messages.timestamp(status.started, event.started_ns)
        if event.completed_ns:
            messages.timestamp(status.completed, event.completed_ns)

    def _warned(self, response: Message, event: Warned) -> None:
        """A warning hangs on a vertex; clients drop one whose vertex they don't know."""
        short = f"{event.rule}: {event.text}" if event.rule else event.text
        if event.lines:
            short += f" (line {event.lines[0][0]})"
        warning = response.warnings.add(
            vertex=self._definition,
            level=event.level,
            short=short.encode(),
            url=event.url,
        )
        if event.description:
            warning.detail.append(event.description.encode())
        if event.source:
            warning.info.filename = event.file
            warning.info.data = event.source
            warning.info.language = "Dockerfile"
        for first, last in event.lines:
            line_range = warning.ranges.add()
            line_range.start.line = first
            line_range.end.line = last
