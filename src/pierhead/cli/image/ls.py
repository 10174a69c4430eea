"""``pier images``, ``pier image ls``: list images."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.filters import add, check_filter, parse_filters
from pierhead.cli.format.images import HEADERS, image_format, image_rows
from pierhead.cli.format.listing import write_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_SUBCOMMANDS = frozenset(
    "build history import inspect list load ls prune pull push rm save tag".split()
)


def list_images(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /images/json."""
    filters = parse_filters(options.strings("filter")) or {}
    if args and args[0]:
        add(filters, "reference", args[0])
    if options.flag("tree"):
        raise CliError("--tree is not implemented yet in Pierhead: images have one platform here")
    query = {"all": True if options.flag("all") else None, "filters": filters or None}
    summaries = cli.client.get("/images/json", query) or []
    quiet, digests = options.flag("quiet"), options.flag("digests")
    source = options.string("format")
    if not source:
        source = (not quiet and cli.config.get("imagesFormat")) or "table"
    source = image_format(source, quiet=quiet, digest=digests)
    rows = image_rows(summaries, trunc=not options.flag("no-trunc"), digest=digests, source=source)
    write_list(cli, source, rows, HEADERS)
    if args and not summaries and args[0] in _SUBCOMMANDS and cli.path.endswith(" images"):
        cli.err(f'\nNo images found matching "{args[0]}": did you mean "pier image {args[0]}"?\n')


LS = Command(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    list_images,
    (
        ("all", "a", "bool", False, "Show intermediate images too"),
        ("digests", "", "bool", False, "Show digests"),
        ("filter", "f", "filter", None, "Show only what fits name=value", check_filter),
        ("format", "", "string", "", "Print with 'table', 'json', or a Go template"),
        ("no-trunc", "", "bool", False, "Print ids in full length"),
        ("quiet", "q", "bool", False, "Print ids only"),
        ("tree", "", "bool", False, "List the platforms of each image (not yet)"),
    ),
    args=(0, 1),
)
