"""``pier context ls``."""

from __future__ import annotations

from pierhead.cli.context.store import DEFAULT, endpoint
from pierhead.cli.flags import Command
from pierhead.cli.format.listing import Row, write_list
from pierhead.cli.main import getenv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_TABLE = (
    "table {{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}"
)
_HEADERS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "DockerEndpoint": "DOCKER ENDPOINT",
    "Error": "ERROR",
}


class ContextRow(Row):
    """The default context."""

    GO_TYPE = "*formatter.clientContextContext"

    def __init__(self, host: str) -> None:
        self._host = host

    def Name(self) -> str:
        return DEFAULT

    def Current(self) -> bool:
        return True

    def Description(self) -> str:
        return "Current DOCKER_HOST based configuration"

    def DockerEndpoint(self) -> str:
        return self._host

    def Error(self) -> str:
        return ""


def list_contexts(cli: Cli, options: Options, args: list[str]) -> None:
    """What there is; warns where the environment decides anyway."""
    source = options.string("format")
    if options.flag("quiet"):
        source = "{{.Name}}"
    elif source in ("", "table"):
        source = _TABLE
    write_list(cli, source, [ContextRow(endpoint(cli))], _HEADERS)
    if getenv("DOCKER_HOST"):
        cli.err(
            "Warning: DOCKER_HOST environment variable overrides the active context. "
            "To use a context, either set the global --context flag, or unset DOCKER_HOST "
            "environment variable.\n"
        )


LS = Command(
    "[OPTIONS]",
    list_contexts,
    (
        ("format", "", "string", "", "Print with 'table', 'json', or a Go template"),
        ("quiet", "q", "bool", False, "Print names only"),
    ),
    args=(0, 0),
)
