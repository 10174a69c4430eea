"""``pier network inspect``."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.inspecting import inspect_all
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /networks/{id} for each."""
    query = {"verbose": "true"} if options.flag("verbose") else None
    inspect_all(
        cli,
        args,
        options.string("format"),
        "network",
        lambda name: cli.client.request("GET", f"/networks/{quote(name)}", query).read(),
    )


INSPECT = Command(
    "[OPTIONS] NETWORK [NETWORK...]",
    inspect,
    (
        ("format", "f", "string", "", "Print with 'json' or a Go template"),
        ("verbose", "v", "bool", False, "Show what helps to find faults, too"),
    ),
    args=(1, None),
)
