from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.format.progress import Display, show
from support.fake_cli import FakeCli, FakeClient

BAR = {"current": 500, "total": 1000}


def feed(width: int | None, *messages: dict[str, Any]) -> list[str]:
    display = Display(width, now=lambda: 110.0)
    return [display.feed(message) for message in messages]


def test_plain_output_has_no_bars() -> None:
    assert feed(
        None,
        {"status": "Loading", "progressDetail": BAR, "id": "a"},
        {"status": "Waiting", "progressDetail": {}, "id": "a"},
        {"stream": "Loaded image: x\n"},
        {"status": "Done", "id": "b", "from": "c"},
    ) == ["", "a: Waiting\n", "Loaded image: x\n", "b: (from c) Done\n"]


def test_each_id_has_its_line_on_a_terminal() -> None:
    first, second, again = feed(
        120,
        {"status": "Pulling", "progressDetail": {}, "id": "a"},
        {"status": "Pulling", "progressDetail": {}, "id": "b"},
        {"status": "Done", "progressDetail": {}, "id": "a"},
    )
    assert first == "\n\x1b[1A\x1b[2K\ra: Pulling \r\x1b[1B"
    assert second == "\n\x1b[1A\x1b[2K\rb: Pulling \r\x1b[1B"
    assert again == "\x1b[2A\x1b[2K\ra: Done \r\x1b[2B"


@pytest.mark.parametrize(
    ("width", "progress", "bar"),
    [
        (120, BAR, "[" + "=" * 25 + ">" + " " * 25 + "]     500B/1kB"),
        (80, BAR, "    500B/1kB"),
        (80, {"current": 5, "total": 0}, "      5B"),
        (80, {"current": 5, "units": "files"}, "5 files"),
        (80, {"current": 5, "total": 9, "units": "files"}, "5/9 files"),
        (80, {"current": 9, "total": 5}, "      9B"),
        (80, {**BAR, "hidecounts": True}, ""),
        (80, {**BAR, "start": 100}, "    500B/1kB 10s"),
        (40, {**BAR, "start": 100}, "    500B/1kB"),
        (80, {}, ""),
    ],
)
def test_bars(width: int, progress: dict[str, Any], bar: str) -> None:
    assert Display(width, now=lambda: 110.0).bar(progress) == bar


def test_the_time_left_is_rounded_as_go_does() -> None:
    progress = {"current": 3, "total": 10, "start": 100}
    assert Display(80, now=lambda: 101.5).bar(progress).endswith(" 4s")  # 3.5, away from zero
    assert Display(80, now=lambda: 90.0).bar(progress).endswith(" -23s")


def test_a_terminal_without_a_width_has_no_room() -> None:
    assert Display(0).bar(BAR) == "    500B/1kB"


def test_what_is_no_progress_moves_nothing() -> None:
    assert feed(80, {"status": "Pulling from x", "id": "latest"}) == ["latest: Pulling from x\n"]


def test_an_error_in_the_stream_ends_it() -> None:
    with pytest.raises(CliError, match="no space"):
        feed(None, {"error": "no space", "errorDetail": {"message": "no space"}})
    with pytest.raises(CliError, match="bad"):
        feed(None, {"error": "bad"})


def test_show() -> None:
    cli = FakeCli("load", FakeClient({}, "1.56"), {}, "")
    seen: list[Any] = []
    messages = [{"stream": "a\n"}, {"aux": {"ID": "x"}}, {"status": "b"}]
    show(cli, messages, on_aux=seen.append)  # type: ignore[arg-type]
    assert b"".join(cli.written) == b"a\nb\n"
    assert seen == [{"ID": "x"}]
    cli.written.clear()
    show(cli, messages, quiet=True)  # type: ignore[arg-type]
    assert not cli.written
    show(cli, messages, to_stderr=True)  # type: ignore[arg-type]
    assert ("".join(cli.complaints), cli.written) == ("a\nb\n", [])
