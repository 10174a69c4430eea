"""``pier``: read the command line, find the command in the table, run it, end the process.

``Cli`` is what every command gets: the client (connected on first use), output, the
config file and the global options. Start-up time is the first concern here: see
``docs/architecture.md``; nothing may be imported at the top that the next millisecond
doesn't need.
"""

from __future__ import annotations

import posix
import sys

from pierhead.cli import table
from pierhead.cli.errors import ArgumentCountError, CliError, Exit, FlagError, HelpWanted, NotYet
from pierhead.cli.flags import Command, check_count, parse
from pierhead.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from pierhead.cli.flags import Options
    from pierhead.client.http import Client

PROGRAM = "pier"
DEFAULT_HOST = "unix:///run/pierhead.sock"
DOCKER_SOCKET = "/var/run/docker.sock"

GLOBAL_FLAGS: tuple[tuple[Any, ...], ...] = (
    ("config", "", "string", "", "Directory of the client's configuration"),
    ("context", "c", "string", "", "Name of the context to use for the daemon's address"),
    ("debug", "D", "bool", False, "Print debug messages"),
    ("host", "H", "list", None, "Daemon socket to connect to"),
    ("log-level", "l", "string", "info", "Logging level (debug, info, warn, error, fatal)"),
    ("tls", "", "bool", False, "Use TLS; implied by --tlsverify"),
    ("tlscacert", "", "string", "", "Trust certificates signed by this CA only"),
    ("tlscert", "", "string", "", "Our TLS certificate"),
    ("tlskey", "", "string", "", "The key of our TLS certificate"),
    ("tlsverify", "", "bool", False, "Use TLS and check the daemon's certificate"),
    ("version", "v", "bool", False, "Print version information and quit"),
)


def getenv(name: str) -> str:
    """The environment variable, or ''."""
    return posix.environ.get(name.encode(), b"").decode("utf-8", "surrogateescape")


class OutputClosed(Exception):
    """Nobody reads our stdout or stderr any more."""


def write_all(fd: int, data: bytes) -> None:
    """Write everything to one of our own descriptors.

    Raises ``OutputClosed`` when nobody reads, ``OSError`` for other trouble.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[posix.write(fd, view) :]
        except BlockingIOError:
            import select

            select.select((), (fd,), ())
        except BrokenPipeError:
            raise OutputClosed from None


class Cli:
    """One invocation: global options, the command's path, the daemon, output."""

    def __init__(self, options: Options, path: str = "") -> None:
        self.options = options
        #: The command as typed, for messages: ``pier container ls``.
        self.path = path
        self._client: Client | None = None
        self._config: dict[str, Any] | None = None

    @property
    def client(self) -> Client:
        """The API client; made on first use, connects on first request."""
        if self._client is None:
            from pierhead.cli.endpoint import make_client

            self._client = make_client(self)
        return self._client

    @property
    def config(self) -> dict[str, Any]:
        """``config.json`` of the configuration directory, ``{}`` if there is none."""
        if self._config is None:
            from pierhead.cli.endpoint import read_config

            self._config = read_config(self)
        return self._config

    @property
    def config_dir(self) -> str:
        """The configuration directory: ``--config``, DOCKER_CONFIG or ``~/.docker``."""
        return (
            self.options.string("config")
            or getenv("DOCKER_CONFIG")
            or (getenv("HOME") or "/root") + "/.docker"
        )

    @property
    def debug(self) -> bool:
        """Whether ``-D`` was given."""
        return self.options.flag("debug")

    def out(self, text: str) -> None:
        """Text to stdout as it is, at once. Join a table before writing it."""
        write_all(1, text.encode("utf-8", "surrogateescape"))

    def out_bytes(self, data: bytes) -> None:
        """Bytes to stdout."""
        write_all(1, data)

    def err(self, text: str) -> None:
        """Text to stderr as it is."""
        write_all(2, text.encode("utf-8", "surrogateescape"))


def load(path: str) -> Command:
    """The command of a row of the table."""
    module_name, _, attribute = table.COMMANDS[path][0].partition(":")
    full_name = "pierhead.cli." + module_name
    try:
        __import__(full_name)
    except ModuleNotFoundError as error:
        # A row ahead of its module is a plain "not yet", not a traceback.
        if error.name is None or not full_name.startswith(error.name):
            raise
        raise NotYet(path) from None
    command = getattr(sys.modules[full_name], attribute)
    assert isinstance(command, Command)
    return command


def resolve(words: Sequence[str]) -> tuple[str, str, int] | None:
    """Find the command: (row of the table, path as typed, words used), or None.

    ``words[0]`` is the first word after the global options.
    """
    for count in (3, 2):
        if len(words) < count or any(word[:1] == "-" for word in words[1:count]):
            continue
        path = " ".join(words[:count])
        row = table.ALIASES.get(path, path)
        if row in table.COMMANDS:
            return row, path, count
        if path in table.NOT_YET:
            return path, path, count
    if group_of(words):
        return None
    first = words[0]
    if first in table.COMMANDS or first in table.NOT_YET:
        return first, first, 1
    return None


def group_of(words: Sequence[str]) -> str:
    """The innermost group of commands that ``words`` begin with, "" if there is none."""
    for path in (" ".join(words[:2]), words[0]):
        if path in table.GROUPS:
            return path
    return ""


def run(argv: Sequence[str]) -> int:
    """Run the command line (without the program's name), return the exit code."""
    try:
        return _run(argv)
    except KeyboardInterrupt:
        return 130
    except OutputClosed:
        return _die_of_sigpipe()


def _run(argv: Sequence[str]) -> int:
    path = ""
    try:
        options, words = parse(GLOBAL_FLAGS, argv, interspersed=False)
        if options.flag("version"):
            import pierhead

            write_all(1, f"Pierhead version {pierhead.__version__}, build unknown\n".encode())
            return 0
        if not words:
            raise HelpWanted
        if words[0] == "help":
            from pierhead.cli.help import help_command

            return help_command(words[1:])
        found = resolve(words)
        if found is None:
            return _unknown(words)
        row, path, used = found
        if row in table.NOT_YET:
            raise NotYet(path, table.NOT_YET[row])
        command = load(row)
        command_options, args = parse(
            command.flags, words[used:], interspersed=command.interspersed
        )
        full_path = f"{PROGRAM} {path}"
        check_count(full_path, args, command.args)
        cli = Cli(options, full_path)
        return command.run(cli, command_options, args) or 0
    except HelpWanted as wanted:
        from pierhead.cli.help import print_help

        _error(str(wanted))
        return print_help(path)
    except (FlagError, ArgumentCountError) as error:
        from pierhead.cli.help import usage_line

        see = "See" if isinstance(error, ArgumentCountError) and error.see else "Run"
        shown = f"{PROGRAM} {path}".rstrip()
        prefix = f"{PROGRAM}: " if error.prefix else ""
        write_all(
            2,
            f"{prefix}{error.message}\n\nUsage:  {usage_line(path)}\n\n"
            f"{see} '{shown} --help' for more information\n".encode("utf-8", "surrogateescape"),
        )
        return error.code
    except CliError as error:
        prefix = f"{PROGRAM}: " if error.prefix else ""
        _error(prefix + error.message)
        return error.code
    except ClientError as error:
        _error(str(error))
        return 1
    except Exit as error:
        return error.code


def _die_of_sigpipe() -> int:
    """End as a program ends that does not ignore SIGPIPE, for the shell to see."""
    import _signal  # type: ignore[import-not-found]

    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    posix.kill(posix.getpid(), _signal.SIGPIPE)
    return 141


def _error(message: str) -> None:
    if message:
        write_all(2, (message + "\n").encode("utf-8", "surrogateescape"))


def _unknown(words: Sequence[str]) -> int:
    if group := group_of(words):
        from pierhead.cli.help import print_help

        rest = words[group.count(" ") + 1 :]
        if not rest or "--help" in rest or "-h" in rest:
            return print_help(group)
        if rest[0].startswith("-"):
            _error(
                f"unknown flag: {rest[0]}\n\nUsage:  {PROGRAM} {group} COMMAND\n\n"
                f"Run '{PROGRAM} {group} --help' for more information"
            )
            return 125
        _error(
            f"{PROGRAM}: unknown command: {PROGRAM} {group} {rest[0]}\n\n"
            f"Usage:  {PROGRAM} {group}\n\n"
            f"Run '{PROGRAM} {group} --help' for more information"
        )
        return 1
    _error(
        f"{PROGRAM}: unknown command: {PROGRAM} {words[0]}\n\n"
        f"Run '{PROGRAM} --help' for more information"
    )
    return 1


def main() -> NoReturn:
    """Entry point: run and leave at once, without the interpreter's slow goodbye."""
    code = run(sys.argv[1:])
    posix._exit(code)
