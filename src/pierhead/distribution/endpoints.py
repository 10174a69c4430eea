"""Where a registry is: its mirrors first, then itself, and how far each is trusted.

As in Docker: HTTPS with a good certificate, except for registries that the operator calls
insecure (by name, or by a network their address is in) and for loopback addresses. Those
are tried with HTTPS and any certificate first, then with plain HTTP.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from pierhead.errors import InvalidParameter
from pierhead.oci.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN

HUB_HOST: Final = "registry-1.docker.io"
LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_HOST_PORT: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""A host name's addresses; empty if there are none."""


class RegistrySettings(Protocol):
    """What the operator decided (``engine.settings.Settings`` fits)."""

    @property
    def insecure_registries(self) -> Sequence[str]: ...
    @property
    def registry_mirrors(self) -> Sequence[str]:
        """Mirrors of Docker Hub, URLs."""
        ...

    @property
    def registry_mirrors_for(self) -> Mapping[str, Sequence[str]]:
        """Registry (``host[:port]``) to the URLs of its mirrors; ``docker.io`` is Hub."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address to try. ``url`` is ``scheme://host[:port]``, perhaps with a path, no ``/v2``."""

    url: str
    host: str
    """``host[:port]`` as in the URL; also the name of its directory in ``certs.d``."""
    mirror: bool = False
    verify: bool = True
    """Whether its certificate must be good; false for insecure registries."""
    official: bool = False
    addresses: tuple[str, ...] = ()
    """The only addresses to connect to: those for which a host name counts as insecure."""

    @property
    def secure(self) -> bool:
        return self.verify and self.url.startswith("https://")


async def endpoints(
    domain: str,
    settings: RegistrySettings,
    *,
    push: bool = False,
    lookup: Lookup | None = None,
) -> list[Endpoint]:
    """The addresses for ``domain``, in the order to try them; mirrors for pulls only.

    Asks the DNS whether a host name is in an insecure network. Raises
    ``InvalidParameter`` for a mirror or insecure registry that is no such thing.
    """
    hub = domain in (DEFAULT_DOMAIN, LEGACY_DOMAIN)
    found: list[Endpoint] = []
    if not push:
        found += await _mirrors(domain, settings, lookup)
    if hub:
        return [*found, Endpoint(f"https://{HUB_HOST}", HUB_HOST, official=True)]
    insecure, addresses = await _insecure(domain, settings.insecure_registries, lookup)
    found.append(Endpoint(f"https://{domain}", domain, verify=not insecure, addresses=addresses))
    if insecure:
        found.append(Endpoint(f"http://{domain}", domain, verify=False, addresses=addresses))
    return found


async def _mirrors(
    domain: str, settings: RegistrySettings, lookup: Lookup | None
) -> list[Endpoint]:
    hub = domain in (DEFAULT_DOMAIN, LEGACY_DOMAIN)
    urls = list(settings.registry_mirrors) if hub else []
    named = settings.registry_mirrors_for
    urls += named.get(DEFAULT_DOMAIN if hub else domain, ())
    found = []
    for url in dict.fromkeys(validate_mirror(url).rstrip("/") for url in urls):
        host = urlsplit(url).netloc
        insecure, addresses = await _insecure(host, settings.insecure_registries, lookup)
        verify = not insecure and url.startswith("https://")
        found.append(Endpoint(url, host, mirror=True, verify=verify, addresses=addresses))
    return found


def validate_mirror(url: str) -> str:
    """A mirror's URL with a slash at its end. Raises ``InvalidParameter`` as dockerd does."""
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme:
        raise InvalidParameter(
            f'invalid mirror: no scheme specified for "{url}": '
            "must use either 'https://' or 'http://'"
        )
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError as error:
        raise InvalidParameter(f'invalid mirror: "{url}" is not a valid URI') from error
    if parts.scheme not in ("http", "https"):
        raise InvalidParameter(
            f'invalid mirror: unsupported scheme "{parts.scheme}" in "{url}": '
            "must use either 'https://' or 'http://'"
        )
    if parts.username is not None or parts.password is not None:
        hidden = url.replace(parts.netloc.rpartition("@")[0], f"{parts.username}:xxxxx", 1)
        raise InvalidParameter(f'invalid mirror: username/password not allowed in URI "{hidden}"')
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise InvalidParameter(f'invalid mirror: query or fragment at end of the URI "{url}"')
    if not parts.hostname:
        raise InvalidParameter(f'invalid mirror: "{url}" is not a valid URI')
    return url.rstrip("/") + "/"


def validate_insecure(text: str) -> Network | str:
    """An insecure registry: a network, or ``host[:port]``. Raises ``InvalidParameter``."""
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme.lower() not in ("http", "https"):
            raise InvalidParameter(f"insecure registry {text} should not contain '://'")
        text = rest.rstrip("/")
    if text.startswith("-") or text.endswith("-"):
        raise InvalidParameter(f"invalid index name ({text}). Cannot begin or end with a hyphen")
    if "/" in text:
        try:
            return ipaddress.ip_network(text, strict=False)
        except ValueError:
            pass
    if not _HOST_PORT.fullmatch(text) and _address(text) is None:
        raise InvalidParameter(f'insecure registry {text} is not valid: invalid host "{text}"')
    port = text.rpartition(":")[2] if _HOST_PORT.fullmatch(text) and ":" in text else ""
    if port.isdigit() and int(port) > 65535:
        raise InvalidParameter(f'insecure registry {text} is not valid: invalid port "{port}"')
    return text


def split_host_port(text: str) -> tuple[str, str]:
    """``host[:port]`` apart; the brackets of an IPv6 literal are taken off."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    host, _, port = text.partition(":")
    return host, port


async def _insecure(
    host_port: str, configured: Sequence[str], lookup: Lookup | None
) -> tuple[bool, tuple[str, ...]]:
    """Whether a registry counts as insecure, and if by DNS, through which addresses."""
    networks = [ipaddress.ip_network(text) for text in LOOPBACK]
    for text in configured:
        entry = validate_insecure(text)
        if not isinstance(entry, str):
            networks.append(entry)
        elif entry == host_port:
            return True, ()
    host, _ = split_host_port(host_port)
    literal = _address(host)
    if literal is not None:
        return any(_within(literal, network) for network in networks), ()
    addresses = await (lookup or _lookup)(host)
    # Only those that make it insecure may be used then: otherwise whoever answers the DNS
    # could name 127.0.0.1 beside his own address, and no certificate would be asked for.
    inside = tuple(
        text
        for text in addresses
        if (address := _address(text)) is not None
        and any(_within(address, network) for network in networks)
    )
    return bool(inside), inside


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _within(address: Address, network: Network) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version == network.version and address in network


async def _lookup(host: str) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(10):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
