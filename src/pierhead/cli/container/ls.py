"""``pier ps``, alias ``pier container ls``."""

from __future__ import annotations

from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def ls(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /containers/json as a table."""
    from pierhead.cli.format.containers import HEADERS, ContainerRow, container_format, wants_size
    from pierhead.cli.format.listing import write_list

    quiet, size = options.flag("quiet"), options.flag("size")
    source = options.string("format")
    if not source and not quiet:
        source = str(cli.config.get("psFormat") or "")
    limit = options.integer("last")
    if options.flag("latest") and limit == -1:
        limit = 1
    query: dict[str, Any] = {"all": options.flag("all") or None}
    if limit > 0:
        query["limit"] = limit
    if size or (not options.changed("size") and not quiet and wants_size(source)):
        query["size"] = True
    if options.strings("filter"):
        from pierhead.cli.format.filters import parse_filters

        query["filters"] = parse_filters(options.strings("filter"))
    found = cli.client.get("/containers/json", query)
    trunc = not options.flag("no-trunc")
    rows = [ContainerRow(summary, trunc=trunc) for summary in found]
    write_list(cli, container_format(source, quiet=quiet, size=size), rows, HEADERS)


LS = Command(
    "[OPTIONS]",
    ls,
    (
        ("all", "a", "bool", False, "Show all containers, not only running ones"),
        ("filter", "f", "filter", None, "Show only these", "format.filters:check_filter"),
        ("format", "", "string", "", "'table', 'table TEMPLATE', 'json' or a Go template"),
        ("last", "n", "int", -1, "Show the n containers created last, in any state"),
        ("latest", "l", "bool", False, "Show the container created last, in any state"),
        ("no-trunc", "", "bool", False, "Don't shorten"),
        ("quiet", "q", "bool", False, "Print ids only"),
        ("size", "s", "bool", False, "Show sizes"),
    ),
    args=(0, 0),
)
