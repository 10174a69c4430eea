"""``pier network prune``: remove unused networks."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.format.filters import check_filter, parse_filters
from pierhead.cli.pruning import agreed, prune_networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def prune(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /networks/prune."""
    what = "all custom networks not used by at least one container"
    if not options.flag("force") and not agreed(cli, what):
        return
    _, output = prune_networks(cli, parse_filters(options.strings("filter")))
    if output:
        cli.out(output + "\n")


PRUNE = Command(
    "[OPTIONS]",
    prune,
    (
        ("filter", "", "filter", None, "Remove only what fits name=value", check_filter),
        ("force", "f", "bool", False, "Do not ask"),
    ),
    args=(0, 0),
)
