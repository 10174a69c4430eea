"""``pier context use``."""

from __future__ import annotations

from pierhead.cli.context.store import check
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def use(cli: Cli, options: Options, args: list[str]) -> None:
    """Only ``default`` can be chosen, and then there is nothing to remember."""
    if len(args) != 1:  # docker's own words for this one
        raise CliError(f"accepts 1 arg(s), received {len(args)}")
    check(args[0])
    if cli.config.get("currentContext"):
        from pierhead.cli.registry.credentials import save_config

        save_config(
            cli, {key: value for key, value in cli.config.items() if key != "currentContext"}
        )
    cli.out(f"{args[0]}\n")
    cli.err(f'Current context is now "{args[0]}"\n')


USE = Command("CONTEXT", use)
