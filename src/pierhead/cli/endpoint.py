"""Where the daemon is and how to reach it: -H, contexts, TLS, the client's config file."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.main import DEFAULT_HOST, DOCKER_SOCKET, getenv
from pierhead.client.http import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.main import Cli


def make_client(cli: Cli) -> Client:
    """The client for the global options and the environment. Raises ``CliError``."""
    hosts = cli.options.strings("host")
    if len(hosts) > 1:
        raise CliError("Specify only one -H")
    context = cli.options.string("context")
    if context and hosts:
        raise CliError("conflicting options: cannot specify both --host and --context")
    host = hosts[0] if hosts else ""
    if not host and not context:
        host = getenv("PIER_HOST") or getenv("DOCKER_HOST")
    if not host:
        check_context(context or getenv("DOCKER_CONTEXT") or cli.config.get("currentContext", ""))
        host = default_host()
    host = parse_host(host)
    return Client(
        host,
        version=getenv("DOCKER_API_VERSION").lstrip("v") or None,
        tls=_tls(cli, host),
        headers=cli.config.get("HttpHeaders"),
        user_agent="Pierhead-Client",
    )


def check_context(name: str) -> None:
    """Only the context ``default`` exists for now. Raises ``CliError`` for others."""
    if name and name != "default":
        raise CliError(
            f'context "{name}": contexts other than "default" are not implemented yet '
            "in Pierhead: use -H or DOCKER_HOST"
        )


def default_host() -> str:
    """Our own socket, or Docker's where only that one exists."""
    for path in (DEFAULT_HOST[7:], DOCKER_SOCKET):
        try:
            posix.stat(path)
        except PermissionError:
            pass
        except OSError:
            continue
        return "unix://" + path
    return DEFAULT_HOST


def parse_host(host: str) -> str:
    """Check and complete an address as the docker CLI does. Raises ``CliError``."""
    host = host.strip()
    scheme, separator, rest = host.partition("://")
    if not separator:
        if host.startswith("/"):
            raise CliError(
                f"Failed to initialize: unable to parse docker host `{host}`: write unix://{host}"
            )
        scheme, rest = "tcp", host
    if scheme == "ssh":
        raise CliError(
            f"{host}: ssh:// is not implemented yet in Pierhead: forward the socket with "
            "'ssh -L /tmp/pierhead.sock:/run/pierhead.sock HOST' and use "
            "-H unix:///tmp/pierhead.sock"
        )
    if scheme == "unix":
        return f"unix://{rest or DEFAULT_HOST[7:]}"
    if scheme in ("tcp", "http", "https"):
        if not rest:
            rest = "127.0.0.1:2375"
        return f"{scheme}://{rest}"
    raise CliError(f"Failed to initialize: unable to parse docker host `{host}`")


def _tls(cli: Cli, host: str) -> Any:
    options = cli.options
    verify = (
        options.flag("tlsverify")
        if options.changed("tlsverify")
        else bool(getenv("DOCKER_TLS_VERIFY"))
    )
    wanted = verify or options.flag("tls") or bool(getenv("DOCKER_TLS"))
    if host.startswith("unix://") or not (wanted or host.startswith("https://")):
        return None
    directory = getenv("DOCKER_CERT_PATH") or cli.config_dir

    def path(flag: str, name: str) -> str | None:
        if options.changed(flag):
            return options.string(flag)
        found = f"{directory}/{name}"
        try:
            posix.stat(found)
        except OSError:
            return None
        return found

    from pierhead.client.tls import tls_wrapper

    return tls_wrapper(
        # With --tlsverify a CA must be there: the system's are not meant.
        ca=(options.string("tlscacert") or f"{directory}/ca.pem") if verify else None,
        cert=path("tlscert", "cert.pem"),
        key=path("tlskey", "key.pem"),
        verify=verify,
    )


def read_config(cli: Cli) -> dict[str, Any]:
    """``config.json``; a broken file is a warning and counts as empty."""
    path = f"{cli.config_dir}/config.json"
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return {}
    try:
        data = b""
        while part := posix.read(fd, 1 << 20):
            data += part
    except OSError:
        return {}
    finally:
        posix.close(fd)
    from pierhead.client.json_fast import loads

    try:
        value = loads(data.decode())
        if not isinstance(value, dict):
            raise ValueError("not an object")
    except ValueError as error:
        cli.err(f"WARNING: Error loading config file: {path}: {error}\n")
        return {}
    return value


_PROXIES = (
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("allProxy", "ALL_PROXY"),
)


def proxies(cli: Cli) -> dict[str, str]:
    """``config.json``'s proxies for this daemon as variables, each in both spellings."""
    known = cli.config.get("proxies")
    if not isinstance(known, dict):
        return {}
    chosen = known.get(cli.client.host) or known.get("default")
    if not isinstance(chosen, dict):
        return {}
    return {
        spelled: str(chosen[key])
        for key, name in _PROXIES
        if chosen.get(key)
        for spelled in (name, name.lower())
    }
