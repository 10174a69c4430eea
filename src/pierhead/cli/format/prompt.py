"""Questions to the person at the terminal."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.main import Cli


def read_line() -> str:
    """One line from stdin without its end; '' at the end of input. Read byte by byte,
    so that what follows is left for others."""
    line = b""
    while True:
        byte = posix.read(0, 1)
        if not byte or byte == b"\n":
            return line.decode("utf-8", "replace").removesuffix("\r")
        line += byte


def confirm(cli: Cli, message: str) -> bool:
    """Ask ``message [y/N]``; only ``y`` is a yes."""
    cli.out(message + " [y/N] ")
    return read_line().strip().lower() == "y"


def hidden_line(cli: Cli, message: str) -> str:
    """A line typed without echo, for passwords."""
    import termios

    saved = termios.tcgetattr(0)
    silent = [*saved]
    silent[3] = int(saved[3]) & ~termios.ECHO
    # Before the question: what is typed ahead of it isn't to be seen either.
    termios.tcsetattr(0, termios.TCSADRAIN, silent)
    try:
        cli.out(message)
        return read_line()
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)
        cli.out("\n")
