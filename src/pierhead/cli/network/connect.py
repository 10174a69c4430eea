"""``pier network connect``."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def check_link(text: str) -> str:
    """A flag's converter: ``name`` or ``name:alias``. Raises ValueError."""
    parts = text.split(":")
    if not text or len(parts) > 2 or not parts[0]:
        raise ValueError("empty string specified for links" if not text else _bad_link(text))
    return text


def _bad_link(text: str) -> str:
    return f"bad format for links: {text}"


def _driver_options(texts: list[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        key = key.strip()
        if not separator or not key:
            raise CliError("invalid key/value pair format in driver options")
        out[key] = value.strip()
    return out


def connect(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /networks/{id}/connect."""
    ipam = {
        "IPv4Address": options.string("ip"),
        "IPv6Address": options.string("ip6"),
        "LinkLocalIPs": options.strings("link-local-ip"),
    }
    body = {
        "Container": args[1],
        "EndpointConfig": {
            "IPAMConfig": {key: value for key, value in ipam.items() if value},
            "Links": options.strings("link") or None,
            "Aliases": options.strings("alias"),
            "DriverOpts": _driver_options(options.strings("driver-opt")),
            "GwPriority": options.integer("gw-priority"),
        },
    }
    cli.client.request("POST", f"/networks/{quote(args[0])}/connect", None, body)


CONNECT = Command(
    "[OPTIONS] NETWORK CONTAINER",
    connect,
    (
        ("alias", "", "stringSlice", None, "Another name of the container in this network"),
        ("driver-opt", "", "stringSlice", None, "Options for the network's driver"),
        ("gw-priority", "", "int", 0, "The network of highest priority has the default gateway"),
        ("ip", "", "ip", "", "The container's IPv4 address (172.30.100.104)"),
        ("ip6", "", "ip", "", "The container's IPv6 address (2001:db8::33)"),
        ("link", "", "list", None, "Link to another container", check_link),
        ("link-local-ip", "", "ipSlice", None, "A link-local address for the container"),
    ),
    args=(2, 2),
)
