"""``pier exec``: a command in a running container, attached or not."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.container.session import attached, check_tty
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def build(options: Options, command: list[str]) -> dict[str, Any]:
    """The body of ``POST /containers/{id}/exec``. Raises ``ValueError``."""
    body: dict[str, Any] = {"Cmd": command}
    for flag, field in (
        ("tty", "Tty"),
        ("privileged", "Privileged"),
        ("user", "User"),
        ("workdir", "WorkingDir"),
    ):
        if options[flag]:
            body[field] = options[flag]
    if options.strings("env-file"):
        from pierhead.cli.container.keyvalue import environment

        body["Env"] = environment(options.strings("env-file"), options.strings("env"))
    elif options.strings("env"):
        body["Env"] = options.strings("env")
    if not options.flag("detach"):
        body["AttachStdout"] = body["AttachStderr"] = True
        if options.flag("interactive"):
            body["AttachStdin"] = True
    return body


def execute(cli: Cli, options: Options, args: list[str]) -> int:
    """Create, start, attach; returns the command's exit code."""
    try:
        body = build(options, args[1:])
    except ValueError as error:
        raise CliError(str(error)) from None
    tty, detach = options.flag("tty"), options.flag("detach")
    stdin = options.flag("interactive") and not detach
    if not detach:
        check_tty(stdin, tty)
    keys_text, keys = "", None
    if options.string("detach-keys") or tty:
        from pierhead.cli.container.session import detach_keys

        keys_text, keys = detach_keys(cli, options.string("detach-keys"))
        if keys_text:
            body["DetachKeys"] = keys_text
    start: dict[str, Any] = {"Detach": detach, "Tty": tty}
    on_terminal = False
    if tty and not detach:
        from pierhead.cli.terminal import is_terminal, size

        on_terminal = is_terminal(1)
        rows, columns = size(1)
        if rows or columns:
            body["ConsoleSize"] = start["ConsoleSize"] = [rows, columns]
    client = cli.client
    answer = client.post(container_path(args[0], "exec"), None, body)
    exec_id = str(answer.get("Id") or "")
    if not exec_id:
        raise CliError("exec ID empty")
    if detach:
        client.request("POST", f"/exec/{exec_id}/start", None, start).read()
        return 0
    attached(
        cli,
        client.begin_hijack(f"/exec/{exec_id}/start", None, start),
        stdin=stdin,
        tty=tty,
        keys=keys if tty else None,
        resize_path=f"/exec/{exec_id}/resize" if on_terminal else None,
    )
    status = client.get(f"/exec/{exec_id}/json").get("ExitCode")
    return int(status or 0)


EXEC = Command(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    execute,
    (
        ("detach", "d", "bool", False, "Run the command in the background"),
        ("detach-keys", "", "string", "", "Key sequence that detaches"),
        ("env", "e", "list", None, "Set an environment variable", "container.values:env_name"),
        ("env-file", "", "list", None, "Read environment variables from a file"),
        ("interactive", "i", "bool", False, "Keep stdin open even if not attached"),
        ("privileged", "", "bool", False, "Give the command all privileges"),
        ("tty", "t", "bool", False, "Allocate a terminal"),
        ("user", "u", "string", "", "User (<name|uid>[:<group|gid>])"),
        ("workdir", "w", "string", "", "Working directory in the container"),
    ),
    args=(2, None),
    interspersed=False,
)
