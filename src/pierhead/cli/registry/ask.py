"""Asking a person for credentials, and asking again when a registry refused."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.format.note import note
from pierhead.cli.format.prompt import hidden_line, read_line
from pierhead.cli.registry.credentials import INDEX_SERVER, config_key, encoded, get, header
from pierhead.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pierhead.cli.main import Cli
    from pierhead.client.http import Response

_ACCOUNTS = (
    "Log in with your Docker ID or email address to push and pull images from Docker Hub. If you "
    "don't have a Docker ID, head over to https://hub.docker.com/ to create one.\n"
    "You can log in with your password or a Personal Access Token (PAT). Using a limited-scope "
    "PAT grants better security and is required for organizations using SSO. Learn more at "
    "https://docs.docker.com/go/access-tokens/\n\n"
)
_TOKENS = (
    "A Personal Access Token (PAT) can be used instead.\nTo create a PAT, visit "
    "\x1b[4mhttps://app.docker.com/settings\x1b[0m\n\n"
)


def ask(cli: Cli, user: str, password: str, known: str, server: str) -> tuple[str, str]:
    """(user name, password): what is missing of them is asked for. Raises ``CliError``.

    ``known`` is the name to take if none is typed.
    """
    user, password, known = user.strip(), password.strip(), known.strip()
    if not user:
        if server == INDEX_SERVER:
            cli.out(_ACCOUNTS)
        cli.out(f"Username ({known}): " if known else "Username: ")
        user = read_line().strip() or known
        if not user:
            raise CliError("Error: Non-null Username Required")
    if not password:
        if server == INDEX_SERVER:
            cli.err(note(_TOKENS, terminal=posix.isatty(2)))
        password = hidden_line(cli, "Password: ").strip()
        if not password:
            raise CliError("Error: Password Required")
    return user, password


def with_credentials(
    cli: Cli, domain: str, verb: str, send: Callable[[Mapping[str, str]], Response]
) -> Response:
    """``send`` a request with the registry's stored credentials in its headers.

    If the daemon answers that they won't do, a person at the terminal is asked for others,
    once, as docker does (it asks for Docker Hub's, whatever the registry).
    """
    try:
        return send({"X-Registry-Auth": header(cli, domain)})
    except ApiError as error:
        if error.status != 401 or not posix.isatty(0):
            raise
    cli.out(f"\nLogin prior to {verb}:\n")
    known = get(cli, config_key(domain)).get("username", "")
    user, password = ask(cli, "", "", known, INDEX_SERVER)
    credentials = {"username": user, "password": password, "serveraddress": INDEX_SERVER}
    return send({"X-Registry-Auth": encoded(credentials)})
