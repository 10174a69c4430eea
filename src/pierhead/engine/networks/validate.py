"""From what a user asks of a network, or of a container's networks, to what will be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Final

from pierhead.engine.config import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
)
from pierhead.engine.networks.ipam import check_overlap, next_subnet
from pierhead.engine.networks.model import (
    BRIDGE,
    HOST,
    IPAM,
    NONE,
    OPTION_BIND_ADDRESS,
    OPTION_BRIDGE_NAME,
    OPTION_ICC,
    OPTION_MASQUERADE,
    OPTION_MTU,
    PREDEFINED,
    IPAMConfig,
    NetworkCreate,
    NetworkRecord,
)
from pierhead.engine.networks.ports import parse_bindings, parse_port
from pierhead.errors import Forbidden, InvalidParameter, NotFound, NotImplementedYet

_MAC: Final = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False", ""})
_LATER_DRIVERS: Final = ("macvlan", "ipvlan", "overlay")
_MAX_INTERFACE_NAME: Final = 15  # IFNAMSIZ less the final NUL

Pools = Iterable[tuple[str, int]]


def network_record(
    request: NetworkCreate,
    *,
    network_id: str,
    created_ns: int,
    pools: Pools,
    others: Iterable[IPv4Network],
    host: Iterable[IPv4Network],
) -> NetworkRecord:
    """The record of a network to be made, with its subnet and gateway chosen.

    ``others`` are the subnets of our networks, ``host`` those the machine uses otherwise
    (avoided when we choose, allowed when the user does). Raises ``InvalidParameter``,
    ``Forbidden``, ``NotFound``, ``NotImplementedYet``, ``Unavailable``.
    """
    check_name(request.name)
    _check_driver(request.driver)
    _check_unbuilt(request)
    options = dict(request.options or {})
    check_options(options)
    others = list(others)
    ipam = request.ipam or IPAM()
    config = ipam_config(ipam, pools=pools, others=others, host=host)
    return NetworkRecord(
        id=network_id,
        name=request.name,
        created_ns=created_ns,
        driver=BRIDGE,
        internal=request.internal,
        attachable=request.attachable,
        options=options,
        labels=dict(request.labels or {}),
        ipam=IPAM(driver=ipam.driver or "default", options=ipam.options, config=[config]),
    )


def check_name(name: str) -> None:
    """Raises ``Forbidden`` for predefined names, ``InvalidParameter`` for impossible ones."""
    if name in PREDEFINED or name == "default":
        raise Forbidden(f"operation is not permitted on predefined {name} network")
    if not name.strip():
        raise InvalidParameter("invalid network name: name is empty")
    if name.startswith("container:") or "/" in name or not name.isprintable():
        raise InvalidParameter(
            f"invalid network name {name!r}: no slash, no control character, and not "
            "container:<name>, which means another container's network"
        )


def _check_driver(driver: str) -> None:
    if driver in ("", BRIDGE):
        return
    if driver in (HOST, "null"):
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if driver in _LATER_DRIVERS:
        raise NotImplementedYet(f"the network driver {driver} is not built yet: use bridge")
    raise NotFound(f'plugin "{driver}" not found: network drivers here: bridge, host, null')


def _check_unbuilt(request: NetworkCreate) -> None:
    if request.enable_ipv6:
        raise NotImplementedYet("IPv6 networks are not built yet: create it without --ipv6")
    if request.enable_ipv4 is False:
        raise NotImplementedYet("networks without IPv4 are not built yet: leave --ipv4 on")
    if request.ingress:
        raise NotImplementedYet("ingress networks need swarm, which is not built: leave it out")
    if request.config_only or (request.config_from or {}).get("Network"):
        raise NotImplementedYet(
            "configuration-only networks are not built yet: give the options to each network"
        )
    if request.scope not in ("", "local"):
        raise NotImplementedYet(f"the network scope {request.scope!r} needs swarm: use local")


def check_options(options: dict[str, str]) -> None:
    """Options of the bridge driver; unknown ones are kept and ignored, as Docker does."""
    name = options.get(OPTION_BRIDGE_NAME, "")
    if len(name) > _MAX_INTERFACE_NAME or "/" in name or any(char.isspace() for char in name):
        raise InvalidParameter(
            f"invalid {OPTION_BRIDGE_NAME} {name!r}: at most 15 characters, no slash or space"
        )
    if (mtu := options.get(OPTION_MTU)) is not None and not (mtu.isdigit() and int(mtu) < 65536):
        raise InvalidParameter(f"invalid {OPTION_MTU} {mtu!r}: give a number of bytes")
    for key in (OPTION_ICC, OPTION_MASQUERADE):
        boolean(options, key, default=True)
    if address := options.get(OPTION_BIND_ADDRESS):
        _address(address, OPTION_BIND_ADDRESS)


def boolean(options: dict[str, str], key: str, *, default: bool) -> bool:
    """A driver option that is a truth value in Go's spelling. Raises ``InvalidParameter``."""
    if key not in options:
        return default
    if options[key] in _TRUE:
        return True
    if options[key] in _FALSE:
        return False
    raise InvalidParameter(f"invalid {key} {options[key]!r}: give true or false")


def ipam_config(
    ipam: IPAM, *, pools: Pools, others: Iterable[IPv4Network], host: Iterable[IPv4Network]
) -> IPAMConfig:
    """The one pool of a network: as asked, the rest chosen."""
    if ipam.driver not in ("", "default"):
        raise NotImplementedYet(
            f"the IPAM driver {ipam.driver!r} is not built yet: use the default one"
        )
    others = list(others)
    asked = [one for one in ipam.config or [] if one != IPAMConfig()]
    if any(":" in one.subnet for one in asked):
        raise NotImplementedYet("IPv6 subnets are not built yet: give IPv4 ones only")
    if len(asked) > 1:
        raise InvalidParameter("bridge driver doesn't support multiple subnets")
    config = asked[0] if asked else IPAMConfig()
    if config.subnet:
        subnet = _network(config.subnet, "subnet")
        check_overlap(subnet, others)
    elif config.gateway or config.ip_range or config.aux_address:
        raise InvalidParameter("a gateway, range or auxiliary address needs a --subnet")
    else:
        subnet = next_subnet(pools, [*others, *host])
    if subnet.prefixlen > 30:
        raise InvalidParameter(f"the subnet {subnet} has no room for a container: use /30 or more")
    gateway = _address(config.gateway, "gateway") if config.gateway else subnet.network_address + 1
    if gateway not in subnet:
        raise InvalidParameter(f"no matching subnet for gateway {gateway}")
    if config.ip_range and not _network(config.ip_range, "range").subnet_of(subnet):
        raise InvalidParameter(f"no matching subnet for range {config.ip_range}")
    for label, address in (config.aux_address or {}).items():
        if _address(address, f"aux-address {label}") not in subnet:
            raise InvalidParameter(f"no matching subnet for aux-address {address}")
    return IPAMConfig(
        subnet=str(subnet),
        ip_range=config.ip_range,
        gateway=str(gateway),
        aux_address=config.aux_address,
    )


def _network(text: str, field: str) -> IPv4Network:
    try:
        return IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise InvalidParameter(f"invalid {field} {text}: not an IPv4 network in CIDR form") from (
            error
        )


def _address(text: str, field: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        raise InvalidParameter(f"invalid {field} {text!r}: not an IPv4 address") from error


def check_endpoint(network: NetworkRecord, settings: EndpointSettings) -> None:
    """What may be asked of an endpoint in ``network``. Raises ``InvalidParameter``."""
    config = settings.ipam_config
    address = config.ipv4_address if config else ""
    if config and config.ipv6_address:
        raise NotImplementedYet("IPv6 addresses are not built yet: leave --ip6 out")
    if network.name in PREDEFINED:
        if address:
            raise InvalidParameter(
                "invalid endpoint settings: user specified IP address is supported on user "
                "defined networks only"
            )
        if settings.aliases and network.driver != BRIDGE:
            raise InvalidParameter(
                "invalid endpoint settings: network-scoped alias is supported only for "
                "containers in user defined networks"
            )
    if address and _address(address, "IPv4 address") not in network.subnet:
        raise InvalidParameter(
            f"invalid endpoint settings: no configured subnet contains IP address {address}"
        )
    check_mac(settings.mac_address)


def check_mac(mac: str) -> None:
    """``02:42:ac:11:00:02``; raises ``InvalidParameter``."""
    if mac and not _MAC.fullmatch(mac):
        raise InvalidParameter(f"{mac} is not a valid mac address")


def check_mode(config: ContainerConfig, host_config: HostConfig) -> None:
    """Options that exclude each other, in Docker's words. Raises ``InvalidParameter``."""
    mode = host_config.network_mode
    shared = mode.startswith("container:")
    if shared and not mode.removeprefix("container:"):
        raise InvalidParameter("invalid container format container:<name|id>")
    conflicts: list[tuple[bool, str]] = [
        (
            shared and bool(config.hostname),
            "conflicting options: hostname and the network mode",
        ),
        (
            shared and bool(host_config.links),
            "conflicting options: container type network can't be used with links. This would "
            "result in undefined behavior",
        ),
        (
            mode == HOST and bool(host_config.links),
            "conflicting options: host type networking can't be used with links. This would "
            "result in undefined behavior",
        ),
        (shared and bool(host_config.dns), "conflicting options: dns and the network mode"),
        (
            shared and bool(host_config.extra_hosts),
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            (shared or mode == HOST) and bool(config.mac_address),
            "conflicting options: mac-address and the network mode",
        ),
        (
            shared and bool(host_config.port_bindings or host_config.publish_all_ports),
            "conflicting options: port publishing and the container type network mode",
        ),
    ]
    for conflict, message in conflicts:
        if conflict:
            raise InvalidParameter(message)


def asked_networks(
    mode: str, networking: NetworkingConfig | None, canonical: dict[str, str]
) -> dict[str, EndpointSettings]:
    """The networks of a container by name, the mode's own first, then by name.

    ``canonical`` maps what the user may have written (an id, "default") to names.
    """
    asked = {
        canonical.get(name, name): settings or EndpointSettings()
        for name, settings in ((networking.endpoints_config if networking else None) or {}).items()
    }
    if mode.startswith("container:"):
        if asked:
            raise InvalidParameter(
                "conflicting options: cannot attach both user-defined and non-user-defined "
                "network-modes"
            )
        return {}
    name = canonical.get(mode, mode)
    first = asked.pop(name, EndpointSettings())
    if asked and name in (HOST, NONE):
        raise InvalidParameter(
            "conflicting options: cannot attach both user-defined and non-user-defined "
            "network-modes"
        )
    return {name: first} | {other: asked[other] for other in sorted(asked)}


def check_bindings(config: ContainerConfig, host_config: HostConfig) -> None:
    """Ports that are exposed and published, for what can be told at once.

    Raises ``InvalidParameter``, ``NotImplementedYet``.
    """
    parse_bindings(host_config.port_bindings or {})
    for text in config.exposed_ports or ():
        parse_port(text)
