"""``pier rename``: the smallest command, and the pattern for the others."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def rename(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/rename."""
    old, new = (arg.strip() for arg in args)
    if not old or not new:
        raise CliError("Error: Neither old nor new names may be empty")
    try:
        cli.client.request("POST", container_path(old, "rename"), {"name": new})
    except ApiError as error:
        raise CliError(f"{error}\nError: failed to rename container named {old}") from None


RENAME = Command("CONTAINER NEW_NAME", rename, args=(2, 2))
