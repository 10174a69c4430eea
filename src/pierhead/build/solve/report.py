"""What a build tells: events to its door, and the same facts to its history record."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from pierhead.build.history import HistoryRecord, HistoryStep
from pierhead.build.model import (
    Emit,
    Event,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
    Warned,
)
from pierhead.errors import PierError
from pierhead.oci.digest import Digest, sha256


class LogSink(Protocol):
    """Where steps' output is kept."""

    def write(self, step: str, stream: int, data: bytes) -> None: ...


class Report:
    """One for each build."""

    def __init__(
        self, emit: Emit, record: HistoryRecord, logs: LogSink, *, in_order: bool = False
    ) -> None:
        self._emit = emit
        self.record = record
        self._logs = logs
        self._order = InOrder() if in_order else None
        self.warnings: list[Warned] = []

    def tap(self, event: Event) -> None:
        """For those who emit events themselves (exporters): to the door and to the history."""
        if isinstance(event, StepStarted):
            self.record.steps.append(
                HistoryStep(
                    id=event.step,
                    name=event.name,
                    started_ns=event.time_ns,
                    inputs=list(event.inputs),
                )
            )
        elif isinstance(event, StepDone):
            for step in reversed(self.record.steps):
                if step.id == event.step:
                    step.finished_ns, step.cached = event.time_ns, event.cached
                    step.error, step.canceled = event.error, event.canceled
                    break
        self._emit(event)

    def emit(self, event: Event, order: int = 0, *, closes: bool = False) -> None:
        """Out with an event: at its turn, if it has one. ``closes``: the turn ends with it."""
        if self._order is not None and order:
            self._order.put(order, lambda: self._emit(event), closes=closes)
        else:
            self._emit(event)

    def call(self, what: Callable[[], None], order: int) -> None:
        """Something that isn't an event, at its turn (messages of a pull)."""
        if self._order is not None and order:
            self._order.put(order, what)
        else:
            what()

    def start(
        self,
        name: str,
        *,
        identity: str = "",
        inputs: Sequence[Digest] = (),
        stage: str = "",
        instruction: str = "",
        number: int = 0,
        total: int = 0,
        lines: tuple[int, int] = (0, 0),
        order: int = 0,
        within: bool = False,
    ) -> Reported:
        """A step begins. ``identity`` tells apart steps of one name; ``within``: it is told
        as a part of another step that has the turn ``order`` (ONBUILD's)."""
        step = sha256(json.dumps([name, identity, stage, *inputs]).encode())
        now = time.time_ns()
        kept = HistoryStep(
            id=step,
            name=name,
            instruction=instruction,
            stage=stage,
            started_ns=now,
            inputs=list(inputs),
            lines=lines,
        )
        self.record.steps.append(kept)
        self.emit(
            StepStarted(
                time_ns=now,
                step=step,
                name=name,
                inputs=tuple(inputs),
                stage=stage,
                instruction=instruction,
                number=number,
                total=total,
            ),
            order,
        )
        return Reported(self, step, kept, order, closes=not within)

    def warn(self, warning: Warned) -> None:
        self.warnings.append(warning)
        self.record.warnings.append(
            {"rule": warning.rule, "text": warning.text, "lines": [list(x) for x in warning.lines]}
        )
        self._emit(warning)

    def keep(self, step: Digest, stream: int, data: bytes) -> None:
        self._logs.write(step, stream, data)


class Reported:
    """One step that was started. As a context it ends with the error that goes through it."""

    def __init__(
        self, report: Report, step: Digest, kept: HistoryStep, order: int, *, closes: bool
    ) -> None:
        self._closes = closes
        self._report = report
        self.step = step
        self.kept = kept
        self.order = order
        self._done = False

    def log(self, stream: int, data: bytes) -> None:
        self.kept.log_bytes += len(data)
        self._report.keep(self.step, stream, data)
        self._report.emit(
            StepLog(time_ns=time.time_ns(), step=self.step, stream=stream, data=data), self.order
        )

    def progress(
        self, id: str, action: str = "", current: int = 0, total: int = 0, *, done: bool = False
    ) -> None:
        now = time.time_ns()
        self._report.emit(
            StepProgress(
                time_ns=now,
                step=self.step,
                id=id,
                action=action,
                current=current,
                total=total,
                started_ns=self.kept.started_ns,
                completed_ns=now if done else 0,
            ),
            self.order,
        )

    def done(
        self,
        *,
        cached: bool = False,
        error: str = "",
        canceled: bool = False,
        miss: str = "",
        image_id: str = "",
    ) -> None:
        """It ended; only the first call counts."""
        if self._done:
            return
        self._done = True
        now = time.time_ns()
        kept = self.kept
        kept.finished_ns, kept.cached, kept.error = now, cached, error
        kept.canceled, kept.miss = canceled, miss
        self._report.emit(
            StepDone(
                time_ns=now,
                step=self.step,
                cached=cached,
                error=error,
                canceled=canceled,
                miss=miss,
                image_id=image_id,
            ),
            self.order,
            closes=self._closes,
        )

    def __enter__(self) -> Reported:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.done(canceled=True, error="context canceled")
        elif error is not None:
            self.done(error=error.message if isinstance(error, PierError) else str(error))
        else:
            self.done()


class InOrder:
    """Lets a step be told only when all steps before it are done.

    The classic door writes one step after the other, whatever runs side by side.
    """

    def __init__(self) -> None:
        self._current = 1
        self._waiting: dict[int, list[tuple[Callable[[], None], bool]]] = {}

    def put(self, order: int, tell: Callable[[], None], *, closes: bool = False) -> None:
        """``tell`` is called at the turn of ``order``, now or later."""
        if order != self._current:
            self._waiting.setdefault(order, []).append((tell, closes))
            return
        tell()
        while closes:
            self._current += 1
            closes = False
            for held, ends in self._waiting.pop(self._current, ()):
                held()
                closes = closes or ends
