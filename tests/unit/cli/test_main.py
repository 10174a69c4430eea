from __future__ import annotations

import sys
from pathlib import Path

import pytest

import pierhead
from pierhead.cli import table
from pierhead.cli.main import OutputClosed, getenv, load, resolve, run, write_all
from support.wire_daemon import WireDaemon, failure


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("run x", ("run", "run", 1)),
        ("container run x", ("run", "container run", 2)),
        ("container list", ("ps", "container list", 2)),
        ("container prune -f", ("container prune", "container prune", 2)),
        ("network ls", ("network ls", "network ls", 2)),
        ("inspect x", ("inspect", "inspect", 1)),
        ("swarm init", ("swarm", "swarm", 1)),
        ("nosuch", None),
        ("container nosuch", None),
        ("container", None),
    ],
)
def test_resolve(line: str, found: tuple[str, str, int] | None) -> None:
    assert resolve(line.split()) == found


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("--version", 0, f"Pierhead version {pierhead.__version__}", ""),
        ("-v", 0, "Pierhead version", ""),
        ("", 0, "Usage:  pier [OPTIONS] COMMAND", ""),
        ("container", 0, "Usage:  pier container COMMAND", ""),
        ("container nosuch --help", 0, "Usage:  pier container COMMAND", ""),
        ("run --help", 0, "Usage:  pier run [OPTIONS] IMAGE", ""),
        ("help container ls", 0, "Usage:  pier container ls [OPTIONS]", ""),
        ("help nosuch", 1, "", "unknown help topic: nosuch\n"),
        (
            "nosuch",
            1,
            "",
            "pier: unknown command: pier nosuch\n\nRun 'pier --help' for more information\n",
        ),
        (
            "container nosuch",
            1,
            "",
            "pier: unknown command: pier container nosuch\n\nUsage:  pier container\n\n"
            "Run 'pier container --help' for more information\n",
        ),
        (
            "container --foo",
            125,
            "",
            "unknown flag: --foo\n\nUsage:  pier container COMMAND\n\n"
            "Run 'pier container --help' for more information\n",
        ),
        (
            "--foo",
            125,
            "",
            "unknown flag: --foo\n\nUsage:  pier [OPTIONS] COMMAND [ARG...]\n\n"
            "Run 'pier --help' for more information\n",
        ),
        (
            "run --foo",
            125,
            "",
            "unknown flag: --foo\n\nUsage:  pier run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\n"
            "Run 'pier run --help' for more information\n",
        ),
        (
            "container run",
            1,
            "",
            "pier: 'pier container run' requires at least 1 argument\n\n"
            "Usage:  pier container run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\n"
            "See 'pier container run --help' for more information\n",
        ),
        (
            "rename a",
            1,
            "",
            "pier: 'pier rename' requires 2 arguments\n\nUsage:  pier rename CONTAINER NEW_NAME\n\n"
            "Run 'pier rename --help' for more information\n",
        ),
        (
            "cp a",
            1,
            "",
            "pier: 'pier cp' requires 2 arguments\n\n"
            "Usage:  pier cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n"
            "\tpier cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH\n\n"
            "Run 'pier cp --help' for more information\n",
        ),
    ],
)
def test_command_lines(
    line: str, code: int, out: str, err: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(line.split()) == code
    seen = capfd.readouterr()
    assert seen.out.startswith(out) and bool(seen.out) == bool(out)
    assert seen.err == err


@pytest.mark.parametrize("path", sorted(table.NOT_YET))
def test_commands_of_later_issues_say_so(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*path.split(), "x"]) == 1
    assert capfd.readouterr().err.startswith(f"pier: '{path}' is not implemented yet in Pierhead")


def test_a_row_ahead_of_its_module(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(table.COMMANDS, "soon", ("soon:SOON", "Comes later"))
    assert run(["soon"]) == 1
    assert capfd.readouterr().err == "pier: 'soon' is not implemented yet in Pierhead\n"


def test_load_is_lazy() -> None:
    command = load("rename")
    assert command.args == (2, 2)
    assert "pierhead.cli.container.rename" in sys.modules


def test_errors_of_the_daemon(tmp_path: Path) -> None:
    daemon = WireDaemon(tmp_path, {"POST /containers/a/rename": failure("409 Conflict", "taken")})
    done = daemon.pier("rename", "a", "b")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == (
        b"Error response from daemon: taken\nError: failed to rename container named a\n"
    )
    daemon.close()


def test_the_reader_of_our_output_goes_away(tmp_path: Path) -> None:
    import os
    import subprocess

    from support.wire_daemon import MAIN

    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-IS", str(MAIN), "--help"], stdout=write, stderr=-1)
    os.close(write)
    assert (done.returncode, done.stderr) == (-13, b"")


def test_write_all_to_a_closed_pipe() -> None:
    import os

    read, write = os.pipe()
    os.close(read)
    with pytest.raises(OutputClosed):
        write_all(write, b"x")
    os.close(write)


def test_getenv(monkeypatch: pytest.MonkeyPatch) -> None:
    # posix.environ is the environment at start, which is what a command sees.
    assert getenv("PIERHEAD_NO_SUCH_VARIABLE") == ""
    assert getenv("PATH")
