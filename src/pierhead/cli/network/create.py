"""``pier network create``."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.text import check_label, pairs
from pierhead.cli.network.addresses import contains, parse_cidr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def ipam_config(
    subnets: list[str], ranges: list[str], gateways: list[str], auxiliary: dict[str, str]
) -> list[dict[str, Any]]:
    """One entry for each subnet, with the range, gateway and addresses that lie in it.

    Raises ValueError with docker's texts.
    """
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise ValueError("every ip-range or gateway must have a corresponding subnet")
    entries: dict[str, dict[str, Any]] = {}
    for subnet in subnets:
        for other in entries:
            if contains(subnet, other) or contains(other, subnet):
                raise ValueError("multiple overlapping subnet configuration is not supported")
        entries[subnet] = {"Subnet": subnet}
    for wanted in ranges:
        parse_cidr(wanted)
        home = _home(subnets, wanted, "range")
        if "IPRange" in entries[home]:
            raise ValueError(
                f"cannot configure multiple ranges ({wanted}, {entries[home]['IPRange']}) "
                f"on the same subnet ({home})"
            )
        entries[home]["IPRange"] = wanted
    for wanted in gateways:
        home = _home(subnets, wanted, "gateway")
        if "Gateway" in entries[home]:
            raise ValueError(
                f"cannot configure multiple gateways ({wanted}, {entries[home]['Gateway']}) "
                f"for the same subnet ({home})"
            )
        entries[home]["Gateway"] = wanted
    for name, wanted in auxiliary.items():
        home = _home(subnets, wanted, "aux-address")
        entries[home].setdefault("AuxiliaryAddresses", {})[name] = wanted
    return list(entries.values())


def _home(subnets: list[str], address: str, what: str) -> str:
    for subnet in subnets:
        if contains(subnet, address):
            return subnet
    raise ValueError(f"no matching subnet for {what} {address}")


def create(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /networks/create."""
    try:
        config = ipam_config(
            options.strings("subnet"),
            options.strings("ip-range"),
            options.strings("gateway"),
            options.mapping("aux-address"),
        )
    except ValueError as error:
        raise CliError(str(error)) from error
    body: dict[str, Any] = {
        "Name": args[0],
        "Driver": options.string("driver"),
        "Scope": options.string("scope"),
        "IPAM": {
            "Driver": options.string("ipam-driver"),
            "Options": options.mapping("ipam-opt"),
            "Config": config,
        },
        "Internal": options.flag("internal"),
        "Attachable": options.flag("attachable"),
        "Ingress": options.flag("ingress"),
        "ConfigOnly": options.flag("config-only"),
        "ConfigFrom": None,
        "Options": options.mapping("opt"),
        "Labels": pairs(options.strings("label")),
    }
    if options.string("config-from"):
        body["ConfigFrom"] = {"Network": options.string("config-from")}
    for flag, key in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if options.changed(flag):
            body[key] = options.flag(flag)
    answer = cli.client.post("/networks/create", None, body)
    warning = answer.get("Warning")
    if warning:
        cli.err(f"WARNING: {warning}\n")
    cli.out(f"{answer.get('Id', '')}\n")


CREATE = Command(
    "[OPTIONS] NETWORK",
    create,
    (
        ("attachable", "", "bool", False, "Let containers be attached by hand (swarm)"),
        ("aux-address", "", "map", None, "Addresses that the driver must leave alone"),
        ("config-from", "", "string", "", "Copy the configuration of this network"),
        ("config-only", "", "bool", False, "Make a configuration only, no network"),
        ("driver", "d", "string", "bridge", "Driver of the network"),
        ("gateway", "", "ipSlice", None, "Gateway of the subnet, IPv4 or IPv6"),
        ("ingress", "", "bool", False, "Make the swarm's routing mesh"),
        ("internal", "", "bool", False, "No way to the outside"),
        ("ip-range", "", "ipNetSlice", None, "Give containers addresses of this part only"),
        ("ipam-driver", "", "string", "default", "Driver that gives out addresses"),
        ("ipam-opt", "", "map", None, "Options for the address driver"),
        ("ipv4", "", "bool", True, "Give out IPv4 addresses"),
        ("ipv6", "", "bool", False, "Give out IPv6 addresses"),
        ("label", "", "list", None, "Put a label on the network", check_label),
        ("opt", "o", "map", None, "Options for the driver"),
        ("scope", "", "string", "", "Where the network is known: local or swarm"),
        ("subnet", "", "stringSlice", None, "The network's addresses, in CIDR notation"),
    ),
    args=(1, 1),
)
