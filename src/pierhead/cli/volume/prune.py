"""``pier volume prune``: remove unused volumes."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.filters import add, check_filter, parse_filters
from pierhead.cli.pruning import agreed, finish, prune_volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_ALL = "all local volumes not used by at least one container"
_ANONYMOUS = "anonymous local volumes not used by at least one container"


def prune(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /volumes/prune; before API 1.42 named volumes go as well."""
    filters = parse_filters(options.strings("filter")) or {}
    what = _ALL
    if cli.client.version_at_least("1.42"):
        what = _ANONYMOUS
        if options.flag("all"):
            if "all" in filters:
                raise CliError("conflicting options: cannot specify both --all and --filter all=1")
            add(filters, "all", "true")
            what = _ALL
    elif options.flag("all"):
        raise CliError(
            '"--all" requires API version 1.42, but the Docker daemon API version is '
            f"{cli.client.version}"
        )
    if not options.flag("force") and not agreed(cli, what):
        return
    reclaimed, output = prune_volumes(cli, filters)
    finish(cli, output, reclaimed)


PRUNE = Command(
    "[OPTIONS]",
    prune,
    (
        ("all", "a", "bool", False, "Remove named volumes too"),
        ("filter", "", "filter", None, "Remove only what fits name=value", check_filter),
        ("force", "f", "bool", False, "Do not ask"),
    ),
    args=(0, 0),
)
