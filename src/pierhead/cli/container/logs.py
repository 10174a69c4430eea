"""``pier logs``: what a container wrote, and what it goes on to write."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.main import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def logs(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /containers/{id}/logs."""
    query: dict[str, Any] = {"stdout": True, "stderr": True}
    for flag in ("since", "until"):
        if options.string(flag):
            from pierhead.cli.format.clock import api_timestamp

            try:
                query[flag] = api_timestamp(options.string(flag))
            except ValueError as error:
                raise CliError(f'invalid value for "{flag}": {error}') from None
    for flag in ("timestamps", "details", "follow"):
        if options.flag(flag):
            query[flag] = True
    query["tail"] = options.string("tail")
    response = cli.client.request("GET", container_path(args[0], "logs"), query)
    kind = response.headers.get("content-type", "")
    if kind.endswith("multiplexed-stream"):
        tty = False
    elif kind.endswith("raw-stream") and cli.client.version_at_least("1.42"):
        tty = True
    else:
        # Daemons before 1.42 name both kinds of stream the same.
        found = cli.client.get(container_path(args[0], "json"))
        tty = bool((found.get("Config") or {}).get("Tty"))
    if tty:
        for data in response.chunks():
            write_all(1, data)
        return
    from pierhead.cli.streams import Demultiplexer

    demultiplexer = Demultiplexer({0: 1, 1: 1, 2: 2})
    for data in response.chunks():
        demultiplexer.feed(data)


LOGS = Command(
    "[OPTIONS] CONTAINER",
    logs,
    (
        ("details", "", "bool", False, "Show labels and variables given to the log driver"),
        ("follow", "f", "bool", False, "Go on with what is written from now on"),
        ("since", "", "string", "", 'Only after this time ("2013-01-02T13:23:37Z", "42m")'),
        ("tail", "n", "string", "all", "Number of lines from the end"),
        ("timestamps", "t", "bool", False, "Show times"),
        ("until", "", "string", "", 'Only before this time ("2013-01-02T13:23:37Z", "42m")'),
    ),
    args=(1, 1),
)
