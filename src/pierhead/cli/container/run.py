"""``pier run``: make a container, attach, start it, and take its exit code for our own.

The order matters: attached and waiting before the start, so that neither output nor the
exit of a short process is missed. Both requests are under way at the same time.
"""

from __future__ import annotations

from pierhead.cli.container.create import (
    apply_proxies,
    check_pull,
    create_container,
    with_help,
)
from pierhead.cli.container.options import RUN_FLAGS
from pierhead.cli.container.session import SignalWork, check_tty, wait_status
from pierhead.cli.container.spec import build
from pierhead.cli.errors import CliError
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
    check_pull(options, "run")
    apply_proxies(cli, options)
    try:
        body = build(options, args[0], args[1:])
    except CliError as error:
        raise with_help(error.message, "run", 125) from None
    if options.flag("detach"):
        if options.strings("attach"):
            raise CliError("conflicting options: cannot specify both --attach and --detach", 125)
        body["AttachStdin"] = body["AttachStdout"] = body["AttachStderr"] = False
        body["StdinOnce"] = False
    else:
        check_tty(body["AttachStdin"], options.flag("tty"))
    if options.flag("tty"):
        from pierhead.cli.terminal import size

        rows, columns = size(1)
        if rows or columns:
            body["HostConfig"]["ConsoleSize"] = [rows, columns]
    try:
        container = create_container(cli, options, body)
    except (CliError, ClientError) as error:
        raise with_help(str(error), "run", status_of(str(error))) from None
    if not (body["AttachStdin"] or body["AttachStdout"] or body["AttachStderr"]):
        return _run_detached(cli, container)
    return _run_attached(cli, options, container, body)


def _run_detached(cli: Cli, container: str) -> int:
    try:
        cli.client.request("POST", f"/containers/{container}/start").close()
    except ClientError as error:
        cli.out(container + "\n")
        raise with_help(str(error), "run", status_of(str(error))) from None
    cli.out(container + "\n")
    return 0


def _run_attached(cli: Cli, options: Options, container: str, body: dict[str, Any]) -> int:
    from pierhead.cli.streams import Detached, pump

    client = cli.client
    tty = options.flag("tty")
    stdin, stdout, stderr = body["AttachStdin"], body["AttachStdout"], body["AttachStderr"]
    on_terminal = False
    keys_text, keys = "", None
    if tty:
        from pierhead.cli.container.session import detach_keys
        from pierhead.cli.terminal import is_terminal

        on_terminal = is_terminal(1)
        try:
            keys_text, keys = detach_keys(cli, options.string("detach-keys"))
        except CliError as error:
            raise with_help(error.message, "run", 125) from None
    elif options.string("detach-keys"):
        keys_text = options.string("detach-keys")
    if not stdout and not stderr:
        cli.out(container + "\n")
    resize_path = f"/containers/{container}/resize" if on_terminal else None
    work = SignalWork(client, container, proxy=options.flag("sig-proxy"), resize_path=resize_path)
    attach_query = {
        "stream": True,
        "stdin": stdin or None,
        "stdout": stdout or None,
        "stderr": stderr or None,
        "detachKeys": keys_text or None,
    }
    condition = "removed" if options.flag("rm") else "next-exit"
    attaching = client.begin_hijack(f"/containers/{container}/attach", attach_query)
    waiting = client.begin("POST", f"/containers/{container}/wait", {"condition": condition})
    raw = None
    try:
        try:
            stream = attaching.hijacked()
        except ClientError as error:
            raise with_help(str(error), "run", 125) from None
        try:
            exit_response = waiting.response()
        except ClientError as error:
            raise with_help(f"error waiting for container: {error}", "run", 125) from None
        if tty and stdin:
            from pierhead.cli.terminal import RawMode

            raw = RawMode(0)
            raw.__enter__()
        try:
            client.request("POST", f"/containers/{container}/start").close()
        except ClientError as error:
            stream.close()
            if raw is not None:
                raw.restore()
            if options.flag("rm"):
                wait_status(exit_response, work.signals, work.on_signal)
            raise with_help(str(error), "run", status_of(str(error))) from None
        if resize_path is not None:
            from pierhead.cli.container.session import resize

            resize(client, resize_path, first=True)
        try:
            pump(
                stream,
                stdin=0 if stdin else None,
                stdout=1 if stdout else None,
                stderr=2 if stderr else None,
                tty=tty,
                detach=keys,
                signals=work.signals,
                on_signal=work.on_signal,
            )
        except Detached:
            return 0
    finally:
        if raw is not None:
            raw.restore()
    return wait_status(exit_response, work.signals, work.on_signal)


RUN = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    run,
    RUN_FLAGS,
    args=(1, None),
    interspersed=False,
)
