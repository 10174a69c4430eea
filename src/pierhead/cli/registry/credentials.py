"""Credentials for registries: ``auths`` in config.json, or docker's credential helpers.

Helpers are programs ``docker-credential-<name>`` named by ``credsStore`` or, for one
registry, ``credHelpers``; they are given ``get``, ``store`` or ``erase`` and talk JSON.
"""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.main import Cli

INDEX_SERVER = "https://index.docker.io/v1/"
_NOT_FOUND = "credentials not found in native keychain"


def hostname(address: str) -> str:
    """``https://host:port/path`` without scheme and path."""
    _, scheme, rest = address.partition("://")
    return (rest if scheme else address).partition("/")[0]


def config_key(domain: str) -> str:
    """Under which name a registry's credentials are kept."""
    return INDEX_SERVER if domain in ("docker.io", "index.docker.io") else domain


def _helper(cli: Cli, server: str) -> str:
    helpers = cli.config.get("credHelpers") or {}
    return str(helpers.get(server) or cli.config.get("credsStore") or "")


def _ask_helper(name: str, action: str, text: str) -> str:
    """Run a helper, ``text`` on its stdin. Raises ``CliError`` with its complaint."""
    import subprocess

    program = f"docker-credential-{name}"
    try:
        done = subprocess.run([program, action], input=text.encode(), capture_output=True)
    except OSError as error:
        raise CliError(
            f'error getting credentials - err: exec: "{program}": executable file not found '
            "in $PATH, out: ``"
        ) from error
    out = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode:
        raise CliError(
            f"error {action} credentials - err: exit status {done.returncode}, out: `{out}`"
        )
    return out


def get(cli: Cli, server: str) -> dict[str, str]:
    """Username, password or identity token of a registry; empty if none are known."""
    from pierhead.client.json_fast import loads

    helper = _helper(cli, server)
    if helper:
        try:
            answer = loads(_ask_helper(helper, "get", server))
        except CliError as error:
            if _NOT_FOUND in error.message:
                return {}
            raise
        user, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
        if user == "<token>":
            return {"identitytoken": secret, "serveraddress": server}
        return {"username": user, "password": secret, "serveraddress": server}
    auths = cli.config.get("auths") or {}
    entry = auths.get(server)
    if entry is None:
        entry = next((auths[key] for key in auths if hostname(key) == server), None)
    return _decoded(entry, server) if entry else {}


def _decoded(entry: dict[str, Any], server: str) -> dict[str, str]:
    import binascii

    out = {"serveraddress": server}
    for key in ("username", "password", "identitytoken", "registrytoken"):
        if entry.get(key):
            out[key] = str(entry[key])
    if entry.get("auth"):
        try:
            text = binascii.a2b_base64(entry["auth"]).decode()
        except ValueError:
            return out
        user, _, password = text.partition(":")
        out["username"] = user
        if password.strip("\0"):
            out["password"] = password.strip("\0")
    return out


def store(cli: Cli, credentials: dict[str, str]) -> None:
    """Keep credentials. Raises ``CliError`` if that fails."""
    import binascii

    from pierhead.client.json_fast import dumps

    server = credentials["serveraddress"]
    token = credentials.get("identitytoken", "")
    user, password = credentials.get("username", ""), credentials.get("password", "")
    helper = _helper(cli, server)
    if helper:
        record = {
            "ServerURL": server,
            "Username": "<token>" if token else user,
            "Secret": token or password,
        }
        _ask_helper(helper, "store", dumps(record))
        return
    entry: dict[str, str] = {}
    if user or password:
        pair = f"{user}:{password}".encode()
        entry["auth"] = binascii.b2a_base64(pair, newline=False).decode()
    if token:
        entry["identitytoken"] = token
    auths = dict(cli.config.get("auths") or {})
    if auths.get(server) == entry:
        return
    auths[server] = entry
    save_config(cli, {**cli.config, "auths": auths})
    if password:
        cli.err(
            f"\nWARNING! Your credentials are stored unencrypted in '{cli.config_dir}/config.json'."
            "\nConfigure a credential helper to remove this warning. See\n"
            "https://docs.docker.com/go/credential-store/\n\n"
        )


def erase(cli: Cli, server: str) -> None:
    """Forget credentials; nothing happens if there are none. Raises ``CliError``."""
    helper = _helper(cli, server)
    if helper:
        _ask_helper(helper, "erase", server)
        return
    auths = dict(cli.config.get("auths") or {})
    if auths.pop(server, None) is not None:
        save_config(cli, {**cli.config, "auths": auths})


def save_config(cli: Cli, config: dict[str, Any]) -> None:
    """Write config.json as a whole or not at all, readable for the user only."""
    from pierhead.cli.gotemplate.json_text import indent
    from pierhead.cli.main import write_all
    from pierhead.client.json_fast import dumps

    directory = cli.config_dir
    path = f"{directory}/config.json"
    temporary = f"{path}.{posix.getpid()}"
    try:
        _make_directory(directory)
        try:
            mode = posix.stat(path).st_mode & 0o777
            path = _followed(path)
        except OSError:
            mode = 0o600
        fd = posix.open(temporary, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, mode)
        try:
            write_all(fd, indent(dumps(config), "\t").encode())
        finally:
            posix.close(fd)
        posix.replace(temporary, path)
    except OSError as error:
        raise CliError(f"Error saving credentials: {error.strerror}: {path}") from error
    cli.config.clear()
    cli.config.update(config)


def _followed(path: str) -> str:
    """The file that a symlink leads to, so that the link stays."""
    for _ in range(16):
        try:
            target = posix.readlink(path)
        except OSError:
            return path
        path = target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target}"
    return path


def _make_directory(directory: str) -> None:
    try:
        posix.mkdir(directory, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_directory(directory.rstrip("/").rpartition("/")[0] or "/")
        posix.mkdir(directory, 0o700)


def user_name(cli: Cli) -> str:
    """Who is logged in at the default registry, if config.json says so."""
    entry = (cli.config.get("auths") or {}).get(INDEX_SERVER)
    return _decoded(entry, INDEX_SERVER).get("username", "") if entry else ""


def header(cli: Cli, domain: str) -> str:
    """The ``X-Registry-Auth`` header's value for a registry."""
    return encoded(get(cli, config_key(domain)))


def encoded(credentials: dict[str, str]) -> str:
    """Credentials as the header carries them: base64url of JSON."""
    import binascii

    from pierhead.client.json_fast import dumps

    text = binascii.b2a_base64(dumps(credentials).encode(), newline=False).decode()
    return text.replace("+", "-").replace("/", "_")
