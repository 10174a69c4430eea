from __future__ import annotations

import pytest

from pierhead.cli.build.progress.trace import (
    Trace,
    error_logs,
    size_text,
    transfer_text,
    warning_text,
)
from support.build_events import at, done, log, moved, started, warning


def trace_of(*events: dict[str, object]) -> Trace:
    trace = Trace()
    trace.update(events, at(2))
    return trace


def test_a_step_from_begin_to_end() -> None:
    trace = trace_of(started("a", "[1/2] RUN x", 1), log("a", "one\ntw", 1.5), log("a", "o\n", 1.6))
    step = trace.steps["a"]
    assert step.started and not step.completed
    assert step.logs == [b"0.500 one", b"0.500 two"]
    trace.update([done("a", 3, cached=True, miss="why")], at(3))
    assert step.completed and step.cached and step.miss == "why"
    assert trace.completed == 1


def test_times_of_lines_lose_digits_as_they_grow() -> None:
    step = trace_of(
        started("a", "x"), log("a", "1\n", 9.9), log("a", "2\n", 42), log("a", "3\n", 321)
    ).steps["a"]
    assert step.logs == [b"9.900 1", b"42.00 2", b"321.0 3"]


def test_a_line_may_come_in_pieces_and_not_be_text() -> None:
    step = trace_of(started("a", "x"), log("a", "h\udcff"), log("a", "i")).steps["a"]
    assert step.logs == [b"0.500 h\xffi"] and step.logs_partial


def test_events_of_unknown_steps_are_left_out() -> None:
    assert not trace_of(log("a", "x"), done("a")).steps


def test_findings_belong_to_the_step_that_read_the_dockerfile() -> None:
    trace = trace_of(
        started("a", "[internal] load build definition from Dockerfile"),
        started("b", "other"),
        warning("R", "text"),
    )
    assert trace.steps["a"].warnings and not trace.steps["b"].warnings


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "Rule: it is so (line 1)"),
        ({"text": "Rule: it is so (line 1)"}, "Rule: it is so (line 1)"),
        ({"lines": []}, "Rule: it is so"),
    ],
)
def test_a_finding_in_a_line(fields: dict[str, object], text: str) -> None:
    assert warning_text(warning("Rule", "it is so") | fields) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (2, "2B"),
        (999, "999B"),
        (1000, "1.00kB"),
        (1_050_000, "1.05MB"),
        (10**13, "10.00TB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_transfers() -> None:
    statuses = (
        trace_of(started("a", "x"), moved("a", "t", 5, 10), moved("a", "u", 5), moved("a", "v", 0))
        .steps["a"]
        .statuses
    )
    assert [transfer_text(one) for one in statuses.values()] == ["5B / 10B", "5B", ""]


def test_that_a_step_works_is_no_transfer() -> None:
    assert not trace_of(started("a", "x"), moved("a", "", 0)).steps["a"].statuses


def test_what_failed_steps_wrote() -> None:
    trace = trace_of(
        started("a", "RUN x"),
        log("a", "no\n"),
        done("a", error="exit code: 1"),
        started("b", "RUN y"),
        done("b", canceled=True, error="context canceled"),
    )
    assert error_logs(trace, everything=True) == b"------\n > RUN x:\n0.500 no\n------\n"
