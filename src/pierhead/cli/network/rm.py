"""``pier network rm``."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ApiError
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def remove(cli: Cli, options: Options, args: list[str]) -> None:
    """DELETE /networks/{id} for each; ``--force`` overlooks what isn't there."""
    failed = False
    for name in args:
        try:
            cli.client.delete(f"/networks/{quote(name)}").read()
        except ApiError as error:
            if options.flag("force") and error.status == 404:
                continue
            cli.err(f"{error}\n")
            failed = True
            continue
        cli.out(f"{name}\n")
    if failed:
        raise CliError("exit status 1")  # docker prints it, and scripts have seen it


RM = Command(
    "NETWORK [NETWORK...]",
    remove,
    (("force", "f", "bool", False, "No error for a network that does not exist"),),
    args=(1, None),
)
