"""``pier logout``: forget a registry's credentials."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.registry.credentials import INDEX_SERVER, erase, hostname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def logout(cli: Cli, options: Options, args: list[str]) -> None:
    """Erase the registry under every name that it may have been stored by."""
    server = args[0] if args else ""
    names = [server or INDEX_SERVER]
    shown = server or INDEX_SERVER
    if server:
        shown = hostname(server)
        names += [shown, "http://" + shown, "https://" + shown]
    cli.out(f"Removing login credentials for {shown}\n")
    errors: dict[str, str] = {}
    for name in names:
        try:
            erase(cli, name)
        except CliError as error:
            errors[name] = error.message
    if len(errors) == len(set(names)):
        cli.err("WARNING: could not erase credentials:\n")
        for name, message in errors.items():
            cli.err(f"{name}: {message}\n")


LOGOUT = Command(
    "[SERVER]",
    logout,
    args=(0, 1),
    long="Log out of a registry.\nWithout a server it is the default one.",
)
