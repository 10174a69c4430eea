"""``pier build debug``: a shell in a step that failed and was kept, now or later."""

from __future__ import annotations

import posix
import select

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.main import write_all
from pierhead.client import build_wire as wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli
    from pierhead.client.http import Hijacked

_IN = select.POLLIN | select.POLLHUP | select.POLLERR
_LOOK_MS = 200


def shell(cli: Cli, identifier: str, command: list[str]) -> int:
    """Run ``command`` (a shell if empty) in the step's file system; its exit code."""
    from pierhead.cli.terminal import RawMode, size
    from pierhead.client.http import quote
    from pierhead.client.json_fast import dumps

    tty = posix.isatty(0) and posix.isatty(1)
    rows, columns = size(1)
    query: dict[str, Any] = {"tty": tty, "h": rows or None, "w": columns or None}
    if command:
        query["cmd"] = dumps(command)
    stream = cli.client.hijack(f"/pierhead/build/debug/{quote(identifier)}", query)
    raw = RawMode(0) if tty else None
    if raw is not None:
        raw.enter()
    try:
        return _pump(stream, tty, (rows, columns))
    except BrokenPipeError:
        raise CliError("the daemon closed the connection") from None
    finally:
        if raw is not None:
            raw.restore()
        stream.close()


def _pump(stream: Hijacked, tty: bool, shown: tuple[int, int]) -> int:
    """Carry input and output until the command ends."""
    from pierhead.cli.terminal import size

    decoder = wire.Decoder()
    poll = select.poll()
    poll.register(stream.fileno(), _IN)
    poll.register(0, _IN)
    while True:
        timeout = 0 if stream.has_data() else _LOOK_MS if tty else None
        ready = {fd for fd, _ in poll.poll(timeout)}
        if tty and (now := size(1)) != shown:
            shown = now
            stream.send(wire.json_frame(wire.RESIZE, 0, list(now)))
        if 0 in ready:
            data = posix.read(0, 1 << 16)
            kind = wire.DATA if data else wire.LAST
            stream.send(wire.frame(kind, wire.DEBUG_INPUT, data))
            if not data:
                poll.unregister(0)
        if stream.has_data() or stream.fileno() in ready:
            data = stream.receive()
            if not data:
                raise CliError("the daemon closed the connection")
            for kind, channel, payload in decoder.feed(data):
                if kind in (wire.DATA, wire.LAST) and payload:
                    write_all(2 if channel == wire.DEBUG_ERRORS else 1, payload)
                elif kind == wire.FAILED:
                    raise CliError(f"ERROR: {wire.decode(payload).get('message', '')}")
                elif kind == wire.EXITED:
                    return int(wire.decode(payload).get("exit_code", 0))


def debug(cli: Cli, options: Options, args: list[str]) -> int | None:
    """POST /pierhead/build/debug/ID, or the list of what is kept."""
    if options.flag("rm"):
        from pierhead.client.http import quote

        if not args:
            raise CliError("ERROR: name the steps to drop")
        for identifier in args:
            cli.client.delete(f"/pierhead/build/debug/{quote(identifier)}").close()
            cli.out(identifier + "\n")
        return None
    if args:
        return shell(cli, args[0], args[1:])
    kept = cli.client.get("/pierhead/build/debug") or []
    from pierhead.cli.format.listing import print_list

    rows = [
        {
            "ID": str(one.get("id", "")),
            "Build": str(one.get("build_ref", one.get("ref", ""))),
            "Step": str(one.get("name", one.get("step", ""))),
            "Expires": str(one.get("expires", "")),
        }
        for one in kept
    ]
    print_list(
        cli,
        rows,
        format=options.string("format"),
        table="table {{.ID}}\t{{.Build}}\t{{.Step}}\t{{.Expires}}",
        headers={"ID": "ID", "Build": "BUILD", "Step": "STEP", "Expires": "EXPIRES"},
    )
    return None


DEBUG = Command(
    "[OPTIONS] [ID [COMMAND [ARG...]]]",
    debug,
    (
        ("format", "", "string", "table", "Format of the list"),
        ("rm", "", "bool", False, "Drop kept steps instead"),
    ),
    interspersed=False,
)
