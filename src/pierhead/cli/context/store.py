"""Contexts: which daemon to talk to. Only ``default`` exists for now."""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.main import Cli

DEFAULT = "default"


def check(name: str) -> None:
    """Raises ``CliError`` for every other name, as docker does for an unknown one."""
    if name == DEFAULT:
        return
    allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    if (
        len(name) < 2
        or name[0] not in allowed
        or not all(char in allowed + "_.+-" for char in name)
    ):
        raise CliError(
            f'context name "{name}" is invalid, names are validated against regexp '
            '"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"'
        )
    raise CliError(f'context "{name}": context not found: only "default" exists in Pierhead yet')


def endpoint(cli: Cli) -> str:
    """The address that the default context leads to."""
    return cli.client.host
