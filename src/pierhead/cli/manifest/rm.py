"""``pier manifest rm``: forget lists that were made here."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.manifest.record import named
from pierhead.cli.manifest.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def remove(cli: Cli, options: Options, args: list[str]) -> None:
    """Remove each; complain at the end about those that aren't there."""
    store = Store(cli)
    errors = []
    for text in args:
        try:
            ref = named(text)
            store.all(ref)
            store.remove(ref)
        except CliError as error:
            errors.append(error.message)
    if errors:
        raise CliError("\n".join(errors))


RM = Command("MANIFEST_LIST [MANIFEST_LIST...]", remove, args=(1, None))
