"""``pier diff`` and ``pier export``: a container's file system, as changes and as a whole."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_KINDS = "CAD"


def diff(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /containers/{id}/changes."""
    if not args[0]:
        raise CliError("Container name cannot be empty")
    changes = cli.client.get(container_path(args[0], "changes")) or []
    lines = [f"{_KINDS[change['Kind']]} {change['Path']}\n" for change in changes]
    if lines:
        cli.out("".join(lines))


def export(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /containers/{id}/export, to a file or to stdout."""
    from pierhead.cli.output_file import OutputFile, check_output
    from pierhead.cli.terminal import is_terminal

    path = options.string("output")
    if not path and is_terminal(1):
        raise CliError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if path:
        check_output(path, "failed to export container: ")
    response = cli.client.request("GET", container_path(args[0], "export"))
    if not path:
        for data in response.chunks():
            cli.out_bytes(data)
        return
    with OutputFile(path) as file:
        for data in response.chunks():
            file.write(data)


DIFF = Command("CONTAINER", diff, args=(1, 1))
EXPORT = Command(
    "[OPTIONS] CONTAINER",
    export,
    (("output", "o", "string", "", "Write to this file, not to stdout"),),
    args=(1, 1),
)
