"""``pier volume inspect``."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.inspecting import inspect_all
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /volumes/{name} for each."""
    inspect_all(
        cli,
        args,
        options.string("format"),
        "volume",
        lambda name: cli.client.request("GET", f"/volumes/{quote(name)}").read(),
        typed_only=True,
    )


INSPECT = Command(
    "[OPTIONS] VOLUME [VOLUME...]",
    inspect,
    (("format", "f", "string", "", "Print with 'json' or a Go template"),),
    args=(1, None),
)
