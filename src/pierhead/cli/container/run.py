"""``pier run``: make a container, attach, start it, and take its exit code for our own.

The order matters: attached and waiting before the start, so that neither output nor the
exit of a short process is missed. Both requests are under way at the same time.
"""

from __future__ import annotations

from pierhead.cli.container.create import (
    apply_proxies,
    check_pull,
    check_windows,
    create_container,
    with_help,
)
from pierhead.cli.container.options import RUN_FLAGS
from pierhead.cli.container.session import SignalWork, check_tty, start_attached
from pierhead.cli.container.spec import build
from pierhead.cli.errors import CliError, StartFailed
from pierhead.cli.flags import Command
from pierhead.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def status_of(message: str) -> int:
    """127: no such command; 126: not executable; 125: everything else that went wrong."""
    if (
        "executable file not found" in message
        or "no such file or directory" in message
        or "system cannot find the file specified" in message
    ):
        return 127
    if "permission denied" in message or "is a directory" in message:
        return 126
    return 125


def run(cli: Cli, options: Options, args: list[str]) -> int:
    """``pier run``; returns the container's exit code."""
    check_windows(options)
    check_pull(options, "run")
    apply_proxies(cli, options)
    try:
        body = build(options, args[0], args[1:])
    except CliError as error:
        raise with_help(error.message, "run", 125) from None
    tty = options.flag("tty")
    if options.flag("detach"):
        if options.strings("attach"):
            raise CliError("conflicting options: cannot specify both --attach and --detach")
        body["AttachStdin"] = body["AttachStdout"] = body["AttachStderr"] = False
        body["StdinOnce"] = False
    else:
        check_tty(body["AttachStdin"], tty)
    if tty:
        from pierhead.cli.terminal import size

        rows, columns = size(1)
        if rows or columns:
            body["HostConfig"]["ConsoleSize"] = [rows, columns]
    try:
        container = create_container(cli, options, body)
    except (CliError, ClientError) as error:
        raise with_help(str(error), "run", status_of(str(error))) from None
    try:
        if body["AttachStdin"] or body["AttachStdout"] or body["AttachStderr"]:
            return _run_attached(cli, options, container, body)
        try:
            cli.client.request("POST", f"/containers/{container}/start").close()
        finally:
            cli.out(container + "\n")
    except (StartFailed, ClientError) as error:
        raise with_help(str(error), "run", status_of(str(error))) from None
    return 0


def _run_attached(cli: Cli, options: Options, container: str, body: dict[str, Any]) -> int:
    client = cli.client
    tty = options.flag("tty")
    stdin, stdout, stderr = body["AttachStdin"], body["AttachStdout"], body["AttachStderr"]
    on_terminal = False
    keys_text, keys = "", None
    if tty or options.string("detach-keys"):
        from pierhead.cli.container.session import detach_keys
        from pierhead.cli.terminal import is_terminal

        on_terminal = tty and is_terminal(1)
        keys_text, keys = detach_keys(cli, options.string("detach-keys"))
    work = SignalWork(
        client,
        container,
        proxy=options.flag("sig-proxy"),
        resize_path=f"/containers/{container}/resize" if on_terminal else None,
    )
    attaching = client.begin_hijack(
        f"/containers/{container}/attach",
        {
            "stream": True,
            "stdin": stdin or None,
            "stdout": stdout or None,
            "stderr": stderr or None,
            "detachKeys": keys_text or None,
        },
    )
    return start_attached(
        cli,
        container,
        attaching,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        tty=tty,
        keys=keys,
        work=work,
        removed=options.flag("rm"),
    )


RUN = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    run,
    RUN_FLAGS,
    args=(1, None),
    interspersed=False,
)
