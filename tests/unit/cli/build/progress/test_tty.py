from __future__ import annotations

import re

import pytest

from pierhead.cli.build.progress.trace import Trace
from pierhead.cli.build.progress.tty import Colours, Tty
from support.build_events import at, done, log, moved, started, warning


def drawn(
    trace: Trace, *, width: int = 60, height: int = 24, now: float = 2, all: bool = False
) -> list[str]:
    """One drawing without its escape sequences."""
    data = Tty("docker:default").print(trace, width, height, at(now), all=all).decode()
    return [line.rstrip() for line in re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", data).splitlines()]


def trace_of(*events: dict[str, object], now: float = 0) -> Trace:
    trace = Trace()
    trace.update(events[:1], at(now))
    Tty().prepare(trace, 60)
    trace.update(events[1:], at(now))
    Tty().prepare(trace, 60)
    return trace


def test_a_line_for_each_step_and_transfer() -> None:
    trace = trace_of(
        started("a", "[1/2] FROM x"),
        done("a", 0.01, cached=True),
        started("b", "[2/2] RUN y"),
        moved("b", "reading", 5, 10),
    )
    assert drawn(trace) == [
        "[+] Building 2.0s (1/2)                      docker:default",
        " => CACHED [1/2] FROM x                                0.0s",
        " => [2/2] RUN y                                        2.0s",
        " => => reading 5B / 10B                                2.0s",
    ]


def test_the_end() -> None:
    trace = trace_of(started("a", "x"), done("a", 1))
    assert drawn(trace, all=True)[0].startswith("[+] Building 2.0s (1/1) FINISHED")


def test_what_a_running_step_wrote_is_shown_below_it() -> None:
    trace = trace_of(started("a", "RUN x"), log("a", "one\ntwo\n"))
    assert drawn(trace)[2:] == [" => => # one", " => => # two"]
    trace.update([done("a", 1)], at(1))
    assert len(drawn(trace)) == 2


def test_no_escape_sequence_of_a_step_reaches_the_terminal() -> None:
    trace = trace_of(started("a", "RUN x"), log("a", "\x1b]0;title\x07\x1b[31mred\x1b[0m\n"))
    data = Tty().print(trace, 60, 24, at(1), all=False)
    assert b"title" not in data and b"31m" not in data and b"# red" in data


def test_colours() -> None:
    trace = trace_of(
        started("a", "RUN x"), done("a", error="no"), started("b", "y"), done("b", canceled=True)
    )
    data = Tty().print(trace, 60, 24, at(1), all=True).decode()
    assert "\x1b[31m => ERROR RUN x" in data and "\x1b[33m => CANCELED y" in data
    plain = Tty(colours=Colours(no_color=True)).print(trace, 60, 24, at(1), all=True).decode()
    assert "\x1b[31m" not in plain
    assert Colours(setting="run=green:error=1,2,3:x=y").run == "32"
    assert Colours(setting="error=1,2,3").error == "38;2;1;2;3"
    assert Colours(setting="error=1,2,300").error == "31"


def test_findings() -> None:
    trace = trace_of(
        started("a", "[internal] load build definition from D"), warning("R", "t"), done("a")
    )
    assert any("WARN: R: t (line 1)" in line for line in drawn(trace))


def test_running_steps_have_room_before_finished_ones() -> None:
    events = [started("run", "RUN long")]
    for number in range(20):
        events += [started(str(number), f"step {number}"), done(str(number))]
    lines = drawn(trace_of(*events), height=8)
    assert len(lines) == 7 and "RUN long" in lines[1] and "step 19" in lines[-1]


@pytest.mark.parametrize("width", [1, 5, 10, 20])
def test_small_screens(width: int) -> None:
    trace = trace_of(started("a", "RUN x"), log("a", "one\n"))
    assert all(len(line) <= max(width, 70) for line in drawn(trace, width=width))


def test_a_second_drawing_goes_back_up() -> None:
    trace = trace_of(started("a", "x"))
    screen = Tty()
    assert b"\x1b[1A" not in screen.print(trace, 60, 24, at(1), all=False)
    assert b"\x1b[2A\x1b[0G" in screen.print(trace, 60, 24, at(1), all=False)
    assert screen.end(trace, 60, 24, at(1)).endswith(b"\x1b[?25h")
