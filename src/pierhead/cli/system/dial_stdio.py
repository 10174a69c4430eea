"""``pier system dial-stdio``: the daemon's socket on stdin and stdout (ssh uses it)."""

from __future__ import annotations

import posix

from pierhead.cli.flags import Command
from pierhead.cli.main import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def dial_stdio(cli: Cli, options: Options, args: list[str]) -> None:
    """Copy both ways until the daemon closes; our end of input is passed on."""
    import select

    connection = cli.client.connect()
    sock = connection.sock
    sources = [0, sock.fileno()]
    while True:
        ready, _, _ = select.select(sources, (), ())
        if sock.fileno() in ready:
            data = connection.receive()
            if not data:
                return
            write_all(1, data)
        if 0 in ready:
            data = posix.read(0, 65536)
            if data:
                sock.sendall(data)
            else:
                sources.remove(0)
                sock.shutdown(1)


DIAL_STDIO = Command("", dial_stdio, args=(0, 0))
