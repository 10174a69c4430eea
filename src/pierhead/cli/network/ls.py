"""``pier network ls``."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.format.filters import check_filter, parse_filters
from pierhead.cli.format.listing import Row, write_list
from pierhead.cli.format.text import joined_labels, natural_key
from pierhead.cli.format.units import truncate_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_TABLE = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"
_RAW = "network_id: {{.ID}}\\nname: {{.Name}}\\ndriver: {{.Driver}}\\nscope: {{.Scope}}\\n"
_HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}


class NetworkRow(Row):
    """An element of ``GET /networks``."""

    GO_TYPE = "*network.networkContext"
    METHOD_ARGUMENTS = {"Label": ("string",)}

    def __init__(self, summary: dict[str, Any], *, trunc: bool) -> None:
        self._summary = summary
        self._trunc = trunc

    def _text(self, name: str) -> str:
        return str(self._summary.get(name) or "")

    def _bool(self, name: str) -> str:
        return "true" if self._summary.get(name) else "false"

    def ID(self) -> str:
        return truncate_id(self._text("Id")) if self._trunc else self._text("Id")

    def Name(self) -> str:
        return self._text("Name")

    def Driver(self) -> str:
        return self._text("Driver")

    def Scope(self) -> str:
        return self._text("Scope")

    def IPv4(self) -> str:
        return self._bool("EnableIPv4")

    def IPv6(self) -> str:
        return self._bool("EnableIPv6")

    def Internal(self) -> str:
        return self._bool("Internal")

    def Labels(self) -> str:
        return joined_labels(self._summary.get("Labels"))

    def Label(self, name: str) -> str:
        return str((self._summary.get("Labels") or {}).get(name, ""))

    def CreatedAt(self) -> str:
        from pierhead.cli.gotemplate.values import GoTime

        return GoTime(self._text("Created")).go_string()


def list_networks(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /networks."""
    filters = parse_filters(options.strings("filter"))
    networks = cli.client.get("/networks", {"filters": filters}) or []
    networks.sort(key=lambda network: natural_key(network.get("Name") or ""))
    quiet = options.flag("quiet")
    source = options.string("format")
    if not source:
        source = (not quiet and cli.config.get("networksFormat")) or "table"
    if source == "table":
        source = "{{.ID}}" if quiet else _TABLE
    elif source == "raw":
        source = "network_id: {{.ID}}" if quiet else _RAW
    trunc = not options.flag("no-trunc")
    write_list(cli, source, [NetworkRow(network, trunc=trunc) for network in networks], _HEADERS)


LS = Command(
    "[OPTIONS]",
    list_networks,
    (
        ("filter", "f", "filter", None, "Show only what fits name=value", check_filter),
        ("format", "", "string", "", "Print with 'table', 'json', or a Go template"),
        ("no-trunc", "", "bool", False, "Print ids in full length"),
        ("quiet", "q", "bool", False, "Print ids only"),
    ),
    args=(0, 0),
)
