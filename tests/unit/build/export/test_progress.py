from __future__ import annotations

import asyncio

import pytest

from pierhead.build.export.progress import step
from pierhead.build.model import Event, StepDone, StepProgress, StepStarted, Warned
from pierhead.errors import NotFound


def test_a_step_and_its_parts() -> None:
    events: list[Event] = []
    ticks = iter(range(100))
    with step(events.append, "seed", "exporting", lambda: next(ticks)) as progress:
        with progress.part("layers"):
            pass
        progress.warn("careful")
    kinds = [type(event) for event in events]
    assert kinds == [StepStarted, StepProgress, StepProgress, Warned, StepDone]
    begun, ended = events[1], events[2]
    assert isinstance(begun, StepProgress) and isinstance(ended, StepProgress)
    assert begun.completed_ns == 0 and ended.started_ns == begun.started_ns
    assert ended.completed_ns > begun.started_ns


@pytest.mark.parametrize(
    ("error", "words", "canceled"),
    [
        (NotFound("no such"), "no such", False),
        (OSError(28, "full"), "[Errno 28] full", False),
        (asyncio.CancelledError(), "canceled", True),
    ],
)
def test_however_it_ends(error: BaseException, words: str, canceled: bool) -> None:
    events: list[Event] = []
    with pytest.raises(type(error)), step(events.append, "seed", "exporting"):
        raise error
    done = events[-1]
    assert isinstance(done, StepDone) and (done.error, done.canceled) == (words, canceled)
