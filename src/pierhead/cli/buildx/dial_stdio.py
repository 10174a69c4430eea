"""``pier buildx dial-stdio``: BuildKit's gRPC of the daemon on stdin and stdout."""

from __future__ import annotations

import posix
import select

from pierhead.cli.flags import Command
from pierhead.cli.main import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_IN = select.POLLIN | select.POLLHUP | select.POLLERR


def dial_stdio(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /grpc, then bytes both ways until the daemon closes."""
    stream = cli.client.hijack("/grpc", upgrade="h2c")
    poll = select.poll()
    poll.register(stream.fileno(), _IN)
    poll.register(0, _IN)
    while True:
        ready = {fd for fd, _ in poll.poll(0 if stream.has_data() else None)}
        if stream.has_data() or stream.fileno() in ready:
            data = stream.receive()
            if not data:
                return
            write_all(1, data)
        if 0 in ready:
            data = posix.read(0, 1 << 16)
            if data:
                stream.send(data)
            else:
                poll.unregister(0)
                stream.close_write()


DIAL_STDIO = Command(
    "",
    dial_stdio,
    (
        ("builder", "", "string", "", "Only the daemon builds: 'default'"),
        ("platform", "", "string", "", ""),
        ("progress", "", "string", "none", ""),
    ),
    args=(0, 0),
)
