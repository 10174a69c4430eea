"""``pier image prune``: remove unused images."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.format.filters import check_filter, parse_filters
from pierhead.cli.pruning import agreed, finish, prune_images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def prune(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /images/prune."""
    everything = options.flag("all")
    what = (
        "all images without at least one container associated to them"
        if everything
        else "all dangling images"
    )
    if not options.flag("force") and not agreed(cli, what):
        return
    filters = parse_filters(options.strings("filter"))
    reclaimed, output = prune_images(cli, filters, everything=everything)
    finish(cli, output, reclaimed)


PRUNE = Command(
    "[OPTIONS]",
    prune,
    (
        ("all", "a", "bool", False, "Remove all unused images, not only dangling ones"),
        ("filter", "", "filter", None, "Remove only what fits name=value", check_filter),
        ("force", "f", "bool", False, "Do not ask"),
    ),
    args=(0, 0),
)
