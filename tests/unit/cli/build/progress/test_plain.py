from __future__ import annotations

from pierhead.cli.build.progress.plain import Plain
from pierhead.cli.build.progress.trace import Trace
from support.build_events import at, done, log, moved, started, warning


class Screen:
    def __init__(self) -> None:
        self.trace = Trace()
        self.plain = Plain('building with "default" instance using docker driver')

    def feed(self, *events: dict[str, object], now: float = 1) -> str:
        self.trace.update(events, at(now))
        return self.plain.print(self.trace, at(now)).decode()


def test_a_build_as_buildx_writes_it() -> None:
    screen = Screen()
    definition = "[internal] load build definition from Dockerfile"
    text = screen.feed(
        started("a", definition),
        moved("a", "transferring dockerfile:", 64, finished=True),
        done("a", 0.5),
    )
    assert text == (
        '#0 building with "default" instance using docker driver\n\n'
        f"#1 {definition}\n"
        "#1 transferring dockerfile: 64B 0.5s done\n"
        "#1 DONE 0.5s\n"
    )
    assert screen.feed(started("b", "[1/2] FROM busybox"), done("b", cached=True)) == (
        "\n#2 [1/2] FROM busybox\n#2 CACHED\n"
    )
    assert screen.feed(started("c", "[2/2] RUN x"), log("c", "one\ntwo")) == (
        "\n#3 [2/2] RUN x\n#3 0.500 one\n#3 0.500 two"
    )
    assert screen.feed(log("c", " more\n", 0.6)) == " more\n"
    assert screen.feed(done("c", 1.3)) == "#3 DONE 1.3s\n"


def test_errors_and_what_was_stopped() -> None:
    screen = Screen()
    text = screen.feed(
        started("a", "RUN x"),
        log("a", "no\n"),
        done("a", 1, error="exit code: 1"),
        started("b", "RUN y"),
        done("b", 2, canceled=True),
    )
    assert "#1 ERROR: exit code: 1\n" in text and "#2 CANCELED\n" in text
    assert screen.plain.end(screen.trace, at(3)).decode() == (
        "------\n > RUN x:\n0.500 no\n------\n"
    )


def test_only_the_last_lines_are_repeated() -> None:
    screen = Screen()
    screen.feed(started("a", "RUN x"), log("a", "".join(f"{n}\n" for n in range(30))))
    screen.feed(done("a", error="bad"))
    lines = screen.plain.end(screen.trace, at(3)).decode().splitlines()
    assert lines[2:-1] == [f"0.500 {n}" for n in range(20, 30)]


def test_findings() -> None:
    text = Screen().feed(
        started("a", "[internal] load build definition from Dockerfile"), warning("R", "t", 3)
    )
    assert text.endswith("#1 WARN: R: t (line 3)\n")


def test_steps_take_turns() -> None:
    screen = Screen()
    screen.feed(started("a", "A"), log("a", "a1\n"))
    assert screen.feed(started("b", "B"), log("b", "b1\n")) == ""
    text = screen.feed(log("a", "a2\n", 30), log("b", "b2\n", 30), now=30)
    assert text == "#1 30.00 a2\n#1 ...\n\n#2 B\n#2 0.500 b1\n#2 30.00 b2\n"
    assert screen.feed(done("a", 31), now=31) == "#2 ...\n\n#1 A\n#1 DONE 31.0s\n"
    assert screen.feed(done("b", 32), now=32) == "\n#2 B\n#2 DONE 32.0s\n"


def test_small_moves_of_a_transfer_are_not_told() -> None:
    screen = Screen()
    assert "5B / 100B" in screen.feed(started("a", "A"), moved("a", "t", 5, 100, 0.1))
    assert screen.feed(moved("a", "t", 6, 100, 0.2)) == ""
    assert screen.feed(moved("a", "t", 50, 100, 0.3)) == "#1 t 50B / 100B 0.3s\n"
    assert screen.feed(moved("a", "t", 51, 100, 6)) == "#1 t 51B / 100B 6.0s\n"
