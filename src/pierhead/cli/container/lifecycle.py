"""The verbs that are one request for each container: stop, kill, restart, rm, pause, wait..."""

from __future__ import annotations

from pierhead.cli.container.names import container_path, for_each
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_SOME = "CONTAINER [CONTAINER...]"


def _stop_query(options: Options) -> dict[str, Any]:
    query: dict[str, Any] = {}
    timeout = options.integer("timeout" if options.changed("timeout") else "time")
    if options.changed("timeout") or options.changed("time"):
        query["t"] = timeout
    if options.string("signal"):
        query["signal"] = options.string("signal")
    return query


def stop(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/stop."""
    for_each(cli, args, "POST", lambda name: container_path(name, "stop"), _stop_query(options))


def restart(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/restart."""
    for_each(cli, args, "POST", lambda name: container_path(name, "restart"), _stop_query(options))


def kill(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/kill."""
    query = {"signal": options.string("signal") or None}
    for_each(cli, args, "POST", lambda name: container_path(name, "kill"), query)


def pause(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/pause."""
    for_each(cli, args, "POST", lambda name: container_path(name, "pause"))


def unpause(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/unpause."""
    for_each(cli, args, "POST", lambda name: container_path(name, "unpause"))


def remove(cli: Cli, options: Options, args: list[str]) -> None:
    """DELETE /containers/{id}. With ``--force`` a container that is not there is no failure."""
    query = {
        "v": options.flag("volumes") or None,
        "link": options.flag("link") or None,
        "force": options.flag("force") or None,
    }

    def path(name: str) -> str:
        plain = name.strip().strip("/")
        if not plain:
            raise CliError("container name cannot be empty")
        return container_path(plain)

    def forgive(error: Exception) -> bool:
        return options.flag("force") and isinstance(error, ApiError) and error.status == 404

    for_each(cli, args, "DELETE", path, query, forgive=forgive)


def wait(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/wait, and print the exit codes in the order of the arguments."""

    def report(name: str, response: Any) -> None:
        result = response.json()
        problem = (result.get("Error") or {}).get("Message")
        if problem:
            raise CliError(str(problem))
        cli.out(f"{result['StatusCode']}\n")

    for_each(cli, args, "POST", lambda name: container_path(name, "wait"), report=report)


def prune(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/prune, after a question."""
    from pierhead.cli.format.filters import parse_filters
    from pierhead.cli.pruning import agreed, finish, prune_containers

    filters = parse_filters(options.strings("filter"))
    if not options.flag("force") and not agreed(cli, "all stopped containers"):
        return
    reclaimed, text = prune_containers(cli, filters)
    finish(cli, text, reclaimed)


_STOP_FLAGS = (
    ("signal", "s", "string", "", "Signal to send"),
    ("timeout", "t", "int", 0, "Seconds to wait before killing"),
    ("time", "", "int", 0, ""),
)

STOP = Command(f"[OPTIONS] {_SOME}", stop, _STOP_FLAGS, args=(1, None))
RESTART = Command(f"[OPTIONS] {_SOME}", restart, _STOP_FLAGS, args=(1, None))
KILL = Command(
    f"[OPTIONS] {_SOME}",
    kill,
    (("signal", "s", "string", "", "Signal to send"),),
    args=(1, None),
)
PAUSE = Command(_SOME, pause, args=(1, None))
UNPAUSE = Command(_SOME, unpause, args=(1, None))
RM = Command(
    f"[OPTIONS] {_SOME}",
    remove,
    (
        ("force", "f", "bool", False, "Kill and remove running containers"),
        ("link", "l", "bool", False, "Remove the link of this name"),
        ("volumes", "v", "bool", False, "Remove anonymous volumes too"),
    ),
    args=(1, None),
)
WAIT = Command(_SOME, wait, args=(1, None))
PRUNE = Command(
    "[OPTIONS]",
    prune,
    (
        (
            "filter",
            "",
            "filter",
            None,
            'What to remove ("until=<timestamp>")',
            "format.filters:check_filter",
        ),
        ("force", "f", "bool", False, "Don't ask"),
    ),
    args=(0, 0),
)
