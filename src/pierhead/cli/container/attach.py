"""``pier attach``: join the streams of a running container."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.container.session import SignalWork, attached, check_tty, detach_keys
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def check_state(found: dict[str, Any]) -> None:
    """Refuse containers that have no streams now."""
    state = found.get("State") or {}
    if not state.get("Running"):
        raise CliError("You cannot attach to a stopped container, start it first")
    if state.get("Paused"):
        raise CliError("You cannot attach to a paused container, unpause it first")
    if state.get("Restarting"):
        raise CliError("You cannot attach to a restarting container, wait until it is running")


def attach(cli: Cli, options: Options, args: list[str]) -> int:
    """Attach; returns the container's exit code, or 1 after the detach sequence."""
    client = cli.client
    found = client.get(container_path(args[0], "json"))
    check_state(found)
    container = str(found["Id"])
    config = found.get("Config") or {}
    tty = bool(config.get("Tty"))
    check_tty(not options.flag("no-stdin"), tty)
    stdin = not options.flag("no-stdin") and bool(config.get("OpenStdin"))
    keys_text, keys = detach_keys(cli, options.string("detach-keys"))
    on_terminal = False
    if tty:
        from pierhead.cli.terminal import is_terminal

        on_terminal = is_terminal(1)
    work = SignalWork(
        client,
        container,
        proxy=options.flag("sig-proxy") and not tty,
        resize_path=f"/containers/{container}/resize" if on_terminal else None,
    )
    waiting = client.begin("POST", f"/containers/{container}/wait", None)
    attaching = client.begin_hijack(
        f"/containers/{container}/attach",
        {
            "stream": True,
            "stdin": stdin or None,
            "stdout": True,
            "stderr": True,
            "detachKeys": keys_text or None,
        },
    )
    return attached(
        cli,
        attaching,
        stdin=stdin,
        tty=tty,
        keys=keys if tty else None,
        work=work,
        waiting=waiting,
        nudge=True,
    )


ATTACH = Command(
    "[OPTIONS] CONTAINER",
    attach,
    (
        ("detach-keys", "", "string", "", "Key sequence that detaches"),
        ("no-stdin", "", "bool", False, "Don't attach stdin"),
        ("sig-proxy", "", "bool", True, "Pass received signals on to the process"),
    ),
    args=(1, 1),
)
