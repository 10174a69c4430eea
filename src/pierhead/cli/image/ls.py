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


#: Flag -> what docker calls it.
_NOT_WITH_TREE = {
    "quiet": "quiet",
    "no-trunc": "no-trunc",
    "digests": "show-digest",
    "format": "format",
}


def list_images(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /images/json."""
    filters = parse_filters(options.strings("filter")) or {}
    if args and args[0]:
        add(filters, "reference", args[0])
    if options.flag("tree"):
        _tree(cli, options, filters)
        return
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


def _tree(cli: Cli, options: Options, filters: dict[str, list[str]]) -> None:
    """GET /images/json with the manifests of each image."""
    from pierhead.cli.format.platform_tree import tree_text
    from pierhead.cli.requires import need_api
    from pierhead.cli.terminal import is_terminal, size

    need_api(cli, "tree", "1.47")
    for flag, name in _NOT_WITH_TREE.items():
        if options[flag]:
            raise CliError(f"--{name} is not yet supported with --tree")
    everything = options.flag("all")
    query = {"all": True if everything else None, "filters": filters or None, "manifests": True}
    summaries = cli.client.get("/images/json", query) or []
    _, columns = size(1)
    cli.out(tree_text(summaries, columns, everything=everything, terminal=is_terminal(1)))


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
        ("tree", "", "bool", False, "List the platforms of each image"),
    ),
    args=(0, 1),
)
