"""Layouts are BuildKit's: compared with docker-buildx 0.29."""

from __future__ import annotations

from pierhead.cli.build.failure import debug_hint, excerpt, failure_text, warnings_text
from support.build_events import warning

SOURCE = "FROM a\nRUN one\nRUN two\nRUN three\nRUN four\nRUN five\n"


def test_a_line_in_the_middle() -> None:
    assert excerpt("Dockerfile", SOURCE, [(3, 3)]) == (
        "Dockerfile:3\n--------------------\n"
        "   1 |     FROM a\n   2 |     RUN one\n   3 | >>> RUN two\n   4 |     RUN three\n"
        "   5 |     RUN four\n--------------------\n"
    )


def test_several_lines_at_an_end() -> None:
    assert excerpt("D", SOURCE, [(5, 6)]).splitlines() == [
        "D:5",
        "--------------------",
        "   4 |     RUN three",
        "   5 | >>> RUN four",
        "   6 | >>> RUN five",
        "   7 |     ",
        "--------------------",
    ]


def test_lines_that_are_not_there() -> None:
    assert excerpt("D", SOURCE, [(50, 51)]) == excerpt("D", SOURCE, []) == ""
    assert excerpt("D", "", [(1, 1)]) == ""


def test_the_error() -> None:
    fields = {"message": "no", "lines": [[1, 1]], "source": "FROM a", "file": "Dockerfile"}
    text = failure_text(fields, file="x/D")
    assert text.startswith("x/D:1\n") and text.endswith(
        "ERROR: failed to build: failed to solve: no\n"
    )
    assert failure_text({"message": "no"}, target="app") == (
        "ERROR: target app: failed to solve: no\n"
    )
    assert "Canceled: context canceled" in failure_text({"kind": "canceled", "message": "x"})


def test_the_hint() -> None:
    assert debug_hint({}) == ""
    assert "pier build debug abc" in debug_hint({"debug_id": "abc"})


def test_findings() -> None:
    one = warning("R", "t", url="https://u", description="more")
    assert warnings_text([one], debug=False, color=False) == (
        "\n 1 warning found (use pier --debug to expand):\n - R: t (line 1)\n"
    )
    text = warnings_text([one, one], debug=True, color=True)
    assert "\x1b[33m2 warnings found:\n\x1b[0m" in text and "More info: https://u" in text
    assert "   1 | >>> FROM a" in text
    assert warnings_text([], debug=False, color=False) == ""
