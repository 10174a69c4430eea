"""``pier image inspect``."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.image.platform import checked_platform
from pierhead.cli.inspecting import inspect_all
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /images/{name}/json for each."""
    query = {"platform": checked_platform(cli, options.string("platform"), "1.49")}
    inspect_all(
        cli,
        args,
        options.string("format"),
        "image",
        lambda name: cli.client.request("GET", f"/images/{quote(name)}/json", query).read(),
    )


INSPECT = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    inspect,
    (
        ("format", "f", "string", "", "Print with 'json' or a Go template"),
        ("platform", "", "string", "", "Show this platform, os[/arch[/variant]]"),
    ),
    args=(1, None),
)
