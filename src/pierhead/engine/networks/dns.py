"""A DNS server on the gateway address of each user-defined network.

It knows the network's members by name, alias and short id, and passes everything else
on: to the resolvers the container was given (``--dns``), else to the host's, loopback
ones included, since it asks from the host. Members of internal networks alone get
nothing from outside.

Where a program of the host listens on port 53 of every address, ours takes another port
and an nftables element leads to it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final, Protocol

from pierhead import tasks
from pierhead.engine.networks import dnswire
from pierhead.engine.networks.model import NetworkRecord

log = logging.getLogger(__name__)

PORT: Final = 53
UPSTREAM_TIMEOUT_S: Final = 4.0
TCP_IDLE_S: Final = 10.0
MAX_PENDING: Final = 1024
_MAX_TCP: Final = 65535


@dataclass(frozen=True, slots=True)
class Asker:
    """What names mean to whoever asked."""

    lookup: Callable[[str], list[IPv4Address] | None]  # None: nobody here is called that
    reverse: Callable[[IPv4Address], str | None]
    upstreams: Sequence[str]  # addresses, in order; empty: nothing from outside


class Directory(Protocol):
    """Who the members are; ``Sandboxes`` implements it."""

    def asker(self, network: NetworkRecord, address: IPv4Address) -> Asker | None:
        """None for an address that has no business here."""
        ...


class DnsServers:
    """The servers of all networks, started when they are first needed."""

    def __init__(
        self,
        directory: Directory,
        redirect: Callable[[IPv4Address, int, int], None],
        undo: Callable[[IPv4Address, int, int], None],
    ) -> None:
        """``redirect(address, udp port, tcp port)`` leads port 53 of ``address`` elsewhere."""
        self._directory = directory
        self._redirect = redirect
        self._undo = undo
        self._redirected: dict[str, tuple[IPv4Address, int, int]] = {}
        self._servers: dict[str, _Server] = {}
        self.pending = 0

    async def ensure(self, network: NetworkRecord) -> str:
        """Start the server of ``network`` if it isn't there; the address to ask, or ``""``.

        Failing is no error: names don't resolve then, and the log says why.
        """
        address = str(network.gateway.ip)
        if network.id in self._servers:
            return address
        server = self._servers[network.id] = _Server(self, network, self._directory)
        try:
            ports = await server.start()
        except OSError as error:
            self._servers.pop(network.id, None)
            log.error("no DNS server", extra={"network": network.name, "error": str(error)})
            return ""
        if ports != (PORT, PORT):
            self._redirect(network.gateway.ip, *ports)
            self._redirected[network.id] = (network.gateway.ip, *ports)
        return address

    def stop(self, network_id: str) -> None:
        """Idempotent."""
        server = self._servers.pop(network_id, None)
        if server is not None:
            server.stop()
        redirected = self._redirected.pop(network_id, None)
        if redirected is not None:
            self._undo(*redirected)

    def close(self) -> None:
        for network_id in list(self._servers):
            self.stop(network_id)


class _Server(asyncio.DatagramProtocol):
    """One network's server, UDP and TCP."""

    def __init__(self, servers: DnsServers, network: NetworkRecord, directory: Directory) -> None:
        self._servers = servers
        self._network = network
        self._directory = directory
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def start(self) -> tuple[int, int]:
        """Listen; returns the UDP and TCP ports. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        address = str(self._network.gateway.ip)
        ports = []
        for port in (PORT, 0):
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: self, local_addr=(address, port)
                )
                break
            except OSError as error:
                if port == 0 or error.errno != errno.EADDRINUSE:
                    raise
        for port in (PORT, 0):
            try:
                self._tcp = await asyncio.start_server(self._connection, address, port)
                break
            except OSError as error:
                if port == 0 or error.errno != errno.EADDRINUSE:
                    self.stop()
                    raise
        assert self._udp is not None and self._tcp is not None
        ports = [
            self._udp.get_extra_info("sockname")[1],
            self._tcp.sockets[0].getsockname()[1],
        ]
        return ports[0], ports[1]

    def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()

    # -- UDP ----------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        query = dnswire.parse_query(data)
        asker = self._directory.asker(self._network, IPv4Address(addr[0]))
        if query is None or asker is None:
            return
        own = answer(query, asker)
        if own is not None:
            self._send(own, addr)
        elif self._servers.pending >= MAX_PENDING:
            self._send(dnswire.error(query, dnswire.SERVFAIL), addr)
        else:
            tasks.spawn(self._forward_udp(query, data, asker, addr), name="DNS query")

    async def _forward_udp(
        self, query: dnswire.Query, data: bytes, asker: Asker, addr: tuple[str | Any, int]
    ) -> None:
        self._servers.pending += 1
        try:
            found = await ask_upstreams(query, data, asker.upstreams, ask_udp)
        finally:
            self._servers.pending -= 1
        self._send(found or dnswire.error(query, dnswire.SERVFAIL), addr)

    def _send(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if self._udp is not None and not self._udp.is_closing():
            self._udp.sendto(data, addr)

    # -- TCP ----------------------------------------------------------------------------

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TCP_IDLE_S):
                peer = IPv4Address(writer.get_extra_info("peername")[0])
                while (data := await _read_message(reader)) is not None:
                    query = dnswire.parse_query(data)
                    asker = self._directory.asker(self._network, peer)
                    if query is None or asker is None:
                        return
                    found = answer(query, asker, limit=_MAX_TCP)
                    if found is None:
                        found = await ask_upstreams(query, data, asker.upstreams, ask_tcp)
                    found = found or dnswire.error(query, dnswire.SERVFAIL)
                    writer.write(len(found).to_bytes(2, "big") + found)
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def answer(query: dnswire.Query, asker: Asker, *, limit: int = dnswire.MAX_UDP) -> bytes | None:
    """Our own answer, or None for what must be asked elsewhere."""
    if query.class_ != dnswire.IN:
        return None
    if query.type == dnswire.PTR:
        address = dnswire.reverse_address(query.name)
        name = asker.reverse(address) if address else None
        return dnswire.pointer(query, name) if name else None
    found = asker.lookup(query.name)
    if found is None:
        return None
    return dnswire.addresses(query, found if query.type == dnswire.A else (), limit=limit)


Ask = Callable[[bytes, dnswire.Query, str], Any]


async def ask_upstreams(
    query: dnswire.Query, data: bytes, upstreams: Sequence[str], ask: Ask
) -> bytes | None:
    """The first answer that one of ``upstreams`` gives, in their order; None for none."""
    for upstream in upstreams:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(UPSTREAM_TIMEOUT_S):
                found: bytes = await ask(data, query, upstream)
                return found
    return None


class _Client(asyncio.DatagramProtocol):
    def __init__(self, query: dnswire.Query, found: asyncio.Future[bytes]) -> None:
        self._query = query
        self._found = found

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not self._found.done() and dnswire.is_answer(self._query, data):
            self._found.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._found.done():
            self._found.set_exception(exc)


async def ask_udp(data: bytes, query: dnswire.Query, upstream: str) -> bytes:
    """Ask one resolver from a port of its own, so that answers are hard to forge."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Client(query, found), remote_addr=(upstream, PORT)
    )
    try:
        transport.sendto(data)
        return await found
    finally:
        transport.close()


async def ask_tcp(data: bytes, query: dnswire.Query, upstream: str) -> bytes:
    """Ask one resolver over TCP."""
    reader, writer = await asyncio.open_connection(upstream, PORT)
    try:
        writer.write(len(data).to_bytes(2, "big") + data)
        await writer.drain()
        found = await _read_message(reader)
        if found is None or not dnswire.is_answer(query, found):
            raise ConnectionError("no answer")
        return found
    finally:
        writer.close()


async def _read_message(reader: asyncio.StreamReader) -> bytes | None:
    """One message with its length before it; None at the end."""
    head = await reader.read(1)
    if not head:
        return None
    head += await reader.readexactly(1)
    return await reader.readexactly(int.from_bytes(head, "big"))
