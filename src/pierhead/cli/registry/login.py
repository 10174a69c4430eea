"""``pier login``: try credentials at the registry (the daemon does), then keep them."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.note import note
from pierhead.cli.registry.ask import ask
from pierhead.cli.registry.credentials import INDEX_SERVER, get, hostname, store
from pierhead.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


_OTHER_ACCOUNT = "To login with a different account, run 'pier logout' followed by 'pier login'"


def _check_flags(options: Options) -> None:
    if options.changed("password-stdin"):
        if options.changed("password"):
            raise CliError(
                "conflicting options: cannot specify both --password and --password-stdin"
            )
        if not options.changed("username"):
            raise CliError("the --password-stdin option requires --username to be set")
    if options.changed("username") and not options.string("username"):
        raise CliError("username is empty")
    if options.changed("password") and not options.string("password"):
        raise CliError("password is empty")


def _password(cli: Cli, options: Options) -> str:
    if options.string("password"):
        cli.err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n")
    if not options.flag("password-stdin"):
        return options.string("password")
    data = b""
    while part := posix.read(0, 65536):
        data += part
    return data.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


def _authenticate(cli: Cli, credentials: dict[str, str]) -> dict[str, Any]:
    return cli.client.post("/auth", None, dict(credentials)) or {}


def _keep(cli: Cli, credentials: dict[str, str], answer: dict[str, Any]) -> None:
    if answer.get("IdentityToken"):
        credentials = {**credentials, "password": "", "identitytoken": answer["IdentityToken"]}
    store(cli, credentials)


def login(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /auth."""
    _check_flags(options)
    password = _password(cli, options)
    user = options.string("username")
    server = args[0] if args and args[0] != "docker.io" else INDEX_SERVER
    if server != INDEX_SERVER:
        server = hostname(server)
    known = get(cli, server) if not user and not password else {}
    if known.get("username") and known.get("password"):
        credentials = {**known, "serveraddress": server}
        credentials.pop("identitytoken", None)
        cli.err(
            f"Authenticating with existing credentials... [Username: {known['username']}]\n"
            + note(_OTHER_ACCOUNT, terminal=posix.isatty(2))
            + "\n\n"
        )
        try:
            answer = _authenticate(cli, credentials)
        except ApiError as error:
            if error.status == 401:
                cli.err("Stored credentials invalid or expired\n")
            else:
                cli.err(f"Login did not succeed, error: {error}\n")
        else:
            _keep(cli, credentials, answer)
            _say(cli, answer)
            return
    if (not user or not password) and not posix.isatty(0):
        raise CliError("Error: Cannot perform an interactive login from a non TTY device")
    user, password = ask(cli, user, password, known.get("username", ""), server)
    credentials = {"username": user, "password": password, "serveraddress": server}
    answer = _authenticate(cli, credentials)
    _keep(cli, credentials, answer)
    _say(cli, answer)


def _say(cli: Cli, answer: dict[str, Any]) -> None:
    if answer.get("Status"):
        cli.out(f"{answer['Status']}\n")


LOGIN = Command(
    "[OPTIONS] [SERVER]",
    login,
    (
        ("password", "p", "string", "", "Password or access token"),
        ("password-stdin", "", "bool", False, "Read the password or token from stdin"),
        ("username", "u", "string", "", "User name"),
    ),
    args=(0, 1),
    long="Log in to a registry.\nWithout a server it is Docker Hub.",
)
