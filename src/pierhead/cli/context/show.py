"""``pier context show``."""

from __future__ import annotations

from pierhead.cli.context.store import DEFAULT
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def show(cli: Cli, options: Options, args: list[str]) -> None:
    """The current context's name."""
    cli.out(DEFAULT + "\n")


SHOW = Command("", show, args=(0, 0))
