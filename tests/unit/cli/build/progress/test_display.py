from __future__ import annotations

import os

import pytest

from pierhead.cli.build.progress.display import Display, resolve_mode
from pierhead.cli.errors import CliError
from support.build_events import at, done, log, started


def drawn(mode: str, *batches: list[dict[str, object]]) -> bytes:
    reader, writer = os.pipe()
    times = iter(range(at(0), at(1000), 10**9))
    display = Display(mode, writer, text="t", clock=lambda: next(times))
    for events in batches:
        display.update(events)
    display.refresh()
    display.close()
    os.close(writer)
    with open(reader, "rb") as file:
        return file.read()


def test_modes() -> None:
    events = [started("a", "RUN x"), log("a", "hi\n"), done("a")]
    assert drawn("plain", events) == b"#0 t\n\n#1 RUN x\n#1 0.500 hi\n#1 DONE 1.0s\n"
    assert drawn("auto", events) == drawn("plain", events)
    assert drawn("rawjson", events).startswith(b'{"vertexes":[{"digest":"a"')
    assert drawn("quiet", events) == drawn("none", events) == b""


def test_wrong_modes() -> None:
    with pytest.raises(CliError, match="invalid progress mode fancy"):
        resolve_mode("fancy", 2)
    reader, writer = os.pipe()
    with pytest.raises(CliError, match="failed to get console"):
        resolve_mode("tty", writer)
    os.close(reader)
    os.close(writer)


def test_a_terminal() -> None:
    master, slave = os.openpty()
    display = Display("auto", slave, console="c")
    assert display.mode == "tty"
    display.update([started("a", "RUN x"), done("a")])
    display.close()
    assert b"[+] Building" in os.read(master, 65536)
    os.close(master)
    os.close(slave)
