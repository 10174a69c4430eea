"""``pier update``: other limits and another restart policy for containers."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.container.options import LIMIT_FLAGS
from pierhead.cli.container.spec import LIMITS, restart_policy
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def update(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/{id}/update."""
    if not options.changed_names:
        raise CliError("you must provide one or more flags when using this command")
    body: dict[str, Any] = {field: options[flag] for flag, field in LIMITS if options.changed(flag)}
    if options.changed("restart"):
        try:
            body["RestartPolicy"] = restart_policy(options.string("restart"))
        except ValueError as error:
            raise CliError(str(error)) from None
    errors: list[str] = []
    warnings: list[str] = []
    for name in args:
        try:
            answer = cli.client.post(container_path(name, "update"), None, body) or {}
        except (ClientError, CliError) as error:
            errors.append(str(error))
            continue
        cli.out(name + "\n")
        warnings += answer.get("Warnings") or ()
    if warnings:
        cli.out("\n".join(warnings) + "\n")
    if errors:
        raise CliError("\n".join(errors))


UPDATE = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    update,
    (
        *LIMIT_FLAGS,
        ("kernel-memory", "", "bytes", 0, ""),
        ("restart", "", "string", "", "What to do when the container exits"),
    ),
    args=(1, None),
)
