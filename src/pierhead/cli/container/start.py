"""``pier start``: start stopped containers, or start one and attach."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def start(cli: Cli, options: Options, args: list[str]) -> int:
    """POST /containers/{id}/start."""
    if options.string("checkpoint") or options.string("checkpoint-dir"):
        raise CliError("checkpoints are not implemented yet in Pierhead")
    if options.flag("attach") or options.flag("interactive"):
        if len(args) > 1:
            raise CliError("you cannot start and attach multiple containers at once")
        return _start_attached(cli, options, args[0])
    failed: list[str] = []
    for name in args:
        try:
            cli.client.request("POST", container_path(name, "start")).read()
            cli.out(name + "\n")
        except (ClientError, CliError) as error:
            cli.err(f"{error}\n")
            failed.append(name)
    if failed:
        raise CliError(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _start_attached(cli: Cli, options: Options, name: str) -> int:
    from pierhead.cli.container.session import SignalWork, detach_keys, start_attached
    from pierhead.cli.terminal import is_terminal

    client = cli.client
    found = client.get(container_path(name, "json"))
    container = str(found["Id"])
    config = found.get("Config") or {}
    tty = bool(config.get("Tty"))
    stdin = options.flag("interactive") and bool(config.get("OpenStdin"))
    keys_text, keys = detach_keys(cli, options.string("detach-keys"))
    work = SignalWork(
        client,
        container,
        proxy=not tty,
        resize_path=f"/containers/{container}/resize" if tty and is_terminal(1) else None,
    )
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
    return start_attached(
        cli,
        container,
        attaching,
        stdin=stdin,
        tty=tty,
        keys=keys,
        work=work,
        removed=bool((found.get("HostConfig") or {}).get("AutoRemove")),
    )


START = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    start,
    (
        ("attach", "a", "bool", False, "Attach stdout and stderr, pass signals on"),
        ("checkpoint", "", "string", "", "Start from this checkpoint"),
        ("checkpoint-dir", "", "string", "", "Directory of checkpoints"),
        ("detach-keys", "", "string", "", "Key sequence that detaches"),
        ("interactive", "i", "bool", False, "Attach stdin"),
    ),
    args=(1, None),
)
