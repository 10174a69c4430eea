"""The files about names inside a container: hosts, hostname, resolv.conf. Pure text.

They lie in the container's directory and are bind-mounted, so they are always rewritten
in place: a renamed file would leave the container with the old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from pierhead.errors import InvalidParameter

HOST_GATEWAY = "host-gateway"
FALLBACK_NAMESERVERS = ("8.8.8.8", "8.8.4.4")
_LOCAL_NAMES = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("ff00::0", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """A resolv.conf, parsed (resolv.conf(5))."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse_resolv_conf(text: str) -> ResolvConf:
    """Read what matters, ignore the rest. The last ``search`` or ``domain`` wins."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            nameservers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif words[0] == "options":
            options.extend(words[1:])
    return ResolvConf(tuple(nameservers), search, tuple(options))


def is_loopback(nameserver: str) -> bool:
    """Whether a resolver's address means "this machine" and so is useless in a container."""
    try:
        return ip_address(nameserver.split("%", 1)[0]).is_loopback
    except ValueError:
        return True


def is_usable(nameserver: str) -> bool:
    """A resolver that a container can reach: neither loopback nor link-local, and IPv4.

    Containers have no IPv6 route yet.
    """
    try:
        address = ip_address(nameserver.split("%", 1)[0])
    except ValueError:
        return False
    return not address.is_loopback and address.version == 4


def container_resolv_conf(
    host: ResolvConf,
    *,
    nameservers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    own_server: str = "",
    keep_loopback: bool = False,
) -> str:
    """The text for a container.

    What the user gave (``--dns`` and friends) replaces the host's, item by item. With
    ``own_server`` (our DNS server on the network's gateway) that is the only one named:
    it forwards to the others. ``keep_loopback`` is for containers in the host's namespace.
    ``search`` of ``["."]`` clears the search list, as in Docker.
    """
    servers: Sequence[str]
    if own_server:
        servers = (own_server,)
    elif nameservers:
        servers = nameservers
    elif keep_loopback:
        servers = host.nameservers
    else:
        servers = [one for one in host.nameservers if is_usable(one)] or FALLBACK_NAMESERVERS
    domains = list(search or host.search)
    if domains == ["."]:
        domains = []
    chosen = list(options or host.options)
    if own_server and not any(option.startswith("ndots:") for option in chosen):
        chosen.append("ndots:0")
    lines = ["# Made by pierd at the start of the container."]
    lines += [f"nameserver {server}" for server in servers]
    if domains:
        lines.append("search " + " ".join(domains))
    if chosen:
        lines.append("options " + " ".join(chosen))
    return "\n".join(lines) + "\n"


@dataclass(kw_only=True)
class HostsFile:
    """The parts of a container's /etc/hosts."""

    own: list[tuple[str, list[str]]] = field(default_factory=list)  # (address, names)
    extra: list[tuple[str, str]] = field(default_factory=list)  # --add-host: (name, address)
    links: list[tuple[str, list[str]]] = field(default_factory=list)
    ipv6: bool = False

    def render(self) -> str:
        """The file's text, a name and address a line, tabs between as Docker does."""
        lines = [f"{address}\t{names}" for address, names in _LOCAL_NAMES]
        lines += [f"{address}\t{name}" for name, address in self.extra]
        lines += [f"{address}\t{' '.join(names)}" for address, names in self.links]
        lines += [f"{address}\t{' '.join(names)}" for address, names in self.own]
        return "\n".join(lines) + "\n"


def parse_extra_hosts(items: Iterable[str], host_gateway: str) -> list[tuple[str, str]]:
    """``name:address`` or ``name=address``; ``host-gateway`` stands for ``host_gateway``.

    Raises ``InvalidParameter``.
    """
    result = []
    for item in items:
        separator = "=" if "=" in item else ":"
        name, found, address = item.partition(separator)
        if not found or not name or not address:
            raise InvalidParameter(f'bad format for add-host: "{item}"')
        address = address.strip("[]")
        if address == HOST_GATEWAY:
            if not host_gateway:
                raise InvalidParameter(
                    "unable to derive the IP value for host-gateway: set host-gateway-ip in the "
                    "daemon's configuration"
                )
            address = host_gateway
        try:
            ip_address(address.split("%", 1)[0])
        except ValueError as error:
            raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from error
        result.append((name, address))
    return result


def own_names(hostname: str, domainname: str) -> list[str]:
    """``host.domain host``: the names a container has for itself."""
    if domainname:
        return [f"{hostname}.{domainname}", hostname]
    head, dot, _ = hostname.partition(".")
    return [hostname, head] if dot else [hostname]
