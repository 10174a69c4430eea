"""One request carried out: at the daemon's own door, or, where a Docker listens, the old way."""

from __future__ import annotations

import posix

from pierhead.cli.build import receive
from pierhead.cli.build.answers import SECRET_LIMIT_BYTES, Answers, error_text
from pierhead.cli.build.door import BuildFailed, Door, stdin_blocks
from pierhead.cli.build.failure import debug_hint, failure_text, warnings_text
from pierhead.cli.build.request import SENT_BACK, Request, options
from pierhead.cli.build.sources import Located, locate
from pierhead.cli.endpoint import proxies
from pierhead.cli.errors import CliError, Exit
from pierhead.cli.paths import absolute
from pierhead.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pierhead.cli.build.door import Shown
    from pierhead.cli.build.progress.display import Display
    from pierhead.cli.main import Cli

#: A daemon that doesn't know our door answers one of these.
_NO_DOOR = (400, 404, 405, 501)

#: The daemon asks for the places of ``--cache-to type=local`` by numbers from here on.
CACHE_NUMBER = 1000


class NoDoor(Exception):
    """The daemon has no build door of Pierhead's: a Docker."""


def prepare(request: Request) -> Located:
    """Settle outputs and find files. Raises ``CliError``."""
    try:
        request.settle_outputs()
    except ValueError as error:
        raise CliError(f"ERROR: failed to build: {error}") from None
    receive.check(request.outputs)
    check_secrets(request.secrets)
    return locate(request)


def build(
    cli: Cli,
    request: Request,
    located: Located,
    display: Shown,
    *,
    extra: dict[str, Any] | None = None,
    opened: Callable[[Door], None] | None = None,
) -> dict[str, Any]:
    """Build, and give the daemon's RESULT.

    ``extra`` are fields of START that are no options; ``opened`` is told of the door, for
    those who want to cancel it, or close it after a ``keep``. Raises ``BuildFailed``,
    ``NoDoor``, ``CliError``.
    """
    add_proxies(cli, request.build_args)
    try:
        start = options(_sent(request), located.fields, shared_key(located))
    except ValueError as error:
        raise CliError(f"ERROR: failed to build: {error}") from None
    start.update(extra or {})
    agents = _agents(request)
    try:
        answers = Answers(
            cli,
            directories={**located.directories, **_cache_sources(request)},
            secrets={one.get("id", ""): settled_secret(one) for one in request.secrets},
            agents=agents.sockets,
            outputs={
                number: receive.target(entry)
                for number, entry in enumerate(request.outputs)
                if entry["type"] in SENT_BACK
            }
            | _cache_targets(request),
            tar=_tar(located),
        )
        try:
            door = Door(cli.client, display, answers)
            if opened is not None:
                opened(door)
            return door.run(start, keep=bool(start.get("keep")))
        except ApiError as error:
            if error.status in _NO_DOOR and not _has_door(cli):
                raise NoDoor from None
            raise CliError(f"ERROR: failed to build: {error.message}") from None
    finally:
        agents.close()


def report(cli: Cli, error: BuildFailed, request: Request, *, target: str = "") -> Exit:
    """Tell how a build failed; what to raise after that. ``target``: of a bake file."""
    file = request.dockerfile if request.dockerfile not in ("", "-") else ""
    text = failure_text(error.fields, file=file, target=target)
    cli.err(text + debug_hint(error.fields))
    return Exit(130 if error.canceled else 1)


def tell_warnings(cli: Cli, display: Display) -> None:
    """The findings, once the progress is over."""
    if display.mode in ("quiet", "rawjson"):
        return
    color = posix.isatty(2)
    cli.err(warnings_text(display.trace.warnings, debug=cli.debug, color=color))


def add_proxies(cli: Cli, build_args: dict[str, str]) -> None:
    """The proxies of ``config.json`` as build arguments, those that weren't given."""
    given = {key.lower() for key in build_args}
    for key, value in proxies(cli).items():
        if key.lower() not in given:
            build_args[key] = value


def _has_door(cli: Cli) -> bool:
    """Whether the daemon is a Pierhead, whatever it answered."""
    response = cli.client.request("GET", "/version", check=False)
    if response.status != 200:
        response.close()
        return False
    version = response.json()
    platform = version.get("Platform") or {}
    return "pierhead" in str(platform.get("Name", "")).lower()


def _cache_sources(request: Request) -> dict[str, str]:
    """The directories that ``--cache-from type=local`` reads, by what the daemon calls them."""
    return {
        f"cache-from:{number}": absolute(entry["src"])
        for number, entry in enumerate(request.cache_from)
        if entry["type"] == "local" and entry.get("src")
    }


def _cache_targets(request: Request) -> dict[int, Callable[[], receive.Target]]:
    """Where ``--cache-to type=local`` goes, by the number that the daemon asks for."""
    return {
        CACHE_NUMBER + number: receive.target({"type": "local", "dest": entry["dest"]})
        for number, entry in enumerate(request.cache_to)
        if entry["type"] == "local" and entry.get("dest")
    }


def _sent(request: Request) -> Request:
    """The request without what only concerns this side: where outputs land."""
    sent = Request()
    sent.__dict__.update(request.__dict__)
    sent.outputs = [
        {key: value for key, value in entry.items() if key != "dest"}
        if entry["type"] in SENT_BACK
        else entry
        for entry in request.outputs
    ]
    for name, key in (("cache_from", "src"), ("cache_to", "dest")):
        entries = []
        for entry in getattr(request, name):
            if entry["type"] == "local" and entry.get(key):
                entry = {**entry, key: absolute(entry[key])}
            entries.append(entry)
        setattr(sent, name, entries)
    return sent


def shared_key(located: Located) -> str:
    """What builds of the same directory on this machine have in common."""
    directory = located.directories.get("context", "")
    return f"{posix.uname().nodename}:{posix.getuid()}:{directory}" if directory else ""


def _tar(located: Located) -> Callable[[], Iterator[bytes]] | None:
    if not located.stdin_tar:
        return None
    return lambda: stdin_blocks(located.head)


def settled_secret(secret: dict[str, str]) -> dict[str, str]:
    """Where a secret without ``src`` and ``env`` is: a variable of its name, or a file."""
    if secret.get("src") or secret.get("env"):
        return secret
    name = secret.get("id", "")
    return {**secret, "env" if name.encode() in posix.environ else "src": name}


def check_secrets(secrets: list[dict[str, str]]) -> None:
    """Refuse secrets that can't be had before anything is built. Raises ``CliError``."""
    for secret in secrets:
        if not secret.get("id"):
            raise CliError("ERROR: failed to build: secret missing ID")
        path = settled_secret(secret).get("src")
        if path is None:
            continue
        try:
            size = posix.stat(path).st_size
        except OSError as error:
            reason = error_text(error).partition(": ")[2]
            raise CliError(
                f"ERROR: failed to build: failed to stat {path}: stat {path}: {reason}"
            ) from None
        if size > SECRET_LIMIT_BYTES:
            raise CliError(f"ERROR: failed to build: secret {secret['id']} too big. max size 500KB")


class _Agents:
    """Sockets of ssh agents, and agents of our own for keys that were given as files."""

    def __init__(self) -> None:
        self.sockets: dict[str, str] = {}
        self.own: list[Any] = []

    def close(self) -> None:
        for agent in self.own:
            agent.close()


def _agents(request: Request) -> _Agents:
    found = _Agents()
    for one in request.ssh:
        name = str(one.get("id") or "default")
        paths: Any = one.get("paths") or []
        if not paths:
            paths = [posix.environ.get(b"SSH_AUTH_SOCK", b"").decode()]
        if paths == [""]:
            raise CliError(
                "ERROR: failed to build: invalid empty ssh agent socket: make sure SSH_AUTH_SOCK "
                "is set"
            )
        try:
            socket = posix.stat(paths[0]).st_mode & 0o170000 == 0o140000
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise CliError(f"ERROR: failed to build: stat {paths[0]}: {reason}") from None
        if socket:
            if len(paths) > 1:
                raise CliError("ERROR: failed to build: only single socket allowed")
            found.sockets[name] = paths[0]
            continue
        from pierhead.cli.build.agent import KeyAgent

        agent = KeyAgent(paths)
        found.own.append(agent)
        found.sockets[name] = agent.socket
    return found
