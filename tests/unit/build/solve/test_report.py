"""Events, history, and the order of the classic door."""

from __future__ import annotations

import asyncio

import pytest

from pierhead.build.history import HistoryRecord, NoLogs
from pierhead.build.model import Event, StepDone, StepLog, StepStarted
from pierhead.build.solve.report import InOrder, Report
from pierhead.errors import InvalidParameter


def report(*, in_order: bool = False) -> tuple[Report, list[Event]]:
    events: list[Event] = []
    return Report(events.append, HistoryRecord(ref="r"), NoLogs(), in_order=in_order), events


def test_a_step_is_told_and_kept() -> None:
    made, events = report()
    with made.start("RUN x", lines=(2, 2)) as step:
        step.log(1, b"out")
    assert [type(event) for event in events] == [StepStarted, StepLog, StepDone]
    kept = made.record.steps[0]
    assert (kept.name, kept.log_bytes, kept.lines) == ("RUN x", 3, (2, 2))
    assert kept.finished_ns >= kept.started_ns


def test_errors_end_a_step() -> None:
    made, events = report()
    with pytest.raises(InvalidParameter), made.start("a"):
        raise InvalidParameter("bad")
    with pytest.raises(asyncio.CancelledError), made.start("b"):
        raise asyncio.CancelledError
    done = [event for event in events if isinstance(event, StepDone)]
    assert (done[0].error, done[1].canceled) == ("bad", True)


def test_only_the_first_end_counts() -> None:
    made, events = report()
    step = made.start("a")
    step.done(cached=True)
    step.done(error="late")
    assert len(events) == 2
    assert made.record.steps[0].cached


def test_steps_side_by_side_are_told_one_by_one() -> None:
    made, events = report(in_order=True)
    second = made.start("two", order=2)
    second.log(1, b"2")
    first = made.start("one", order=1)
    within = made.start("part of one", order=1, within=True)
    second.done()
    within.done()
    third = made.start("three", order=3)
    assert [getattr(event, "name", "") for event in events] == ["one", "part of one", ""]
    first.done()
    third.done()
    names = [event.name for event in events if isinstance(event, StepStarted)]
    assert names == ["one", "part of one", "two", "three"]
    assert isinstance(events[-1], StepDone)


def test_what_waits_is_told_at_its_turn() -> None:
    order, told = InOrder(), []
    order.put(2, lambda: told.append("b"))
    order.put(3, lambda: told.append("c"), closes=True)
    order.put(1, lambda: told.append("a"), closes=True)
    assert told == ["a", "b"]
    order.put(2, lambda: told.append("end"), closes=True)
    assert told == ["a", "b", "end", "c"]


def test_exporters_events_are_kept_too() -> None:
    made, events = report()
    other, theirs = report()
    with other.start("exporting"):
        pass
    for event in theirs:
        made.tap(event)
    assert len(events) == 2
    assert made.record.steps[0].finished_ns
