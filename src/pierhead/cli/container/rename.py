"""``pier rename``: the smallest command, and the pattern for the others."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def rename(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/rename."""
    old, new = (arg.strip() for arg in args)
    if not old or not new:
        raise CliError("Error: Neither old nor new names may be empty")
    cli.client.request("POST", f"/containers/{quote(old)}/rename", {"name": new})


RENAME = Command("CONTAINER NEW_NAME", rename, args=(2, 2))
