"""The DNS server on loopback addresses: who is answered, and who is asked further."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from typing import cast

import pytest

from pierhead.engine.networks import dns, dnswire
from pierhead.engine.networks.dns import Asker, DnsServers, answer, ask_upstreams
from pierhead.engine.networks.model import IPAM, IPAMConfig, NetworkRecord

dnslib = pytest.importorskip("dnslib")

WEB = IPv4Address("10.0.0.2")
NET = NetworkRecord(
    id="1" * 64,
    name="net",
    created_ns=1,
    ipam=IPAM(config=[IPAMConfig(subnet="127.8.0.0/24", gateway="127.8.0.1")]),
)


def asker(*upstreams: str) -> Asker:
    return Asker(
        lambda name: [WEB] if name == "web" else None,
        lambda address: "web.net" if address == WEB else None,
        upstreams,
    )


def query(name: str, type_: str = "A") -> tuple[bytes, dnswire.Query]:
    data: bytes = dnslib.DNSRecord.question(name, type_).pack()
    parsed = dnswire.parse_query(data)
    assert parsed is not None
    return data, parsed


def test_own_names_are_answered() -> None:
    got = answer(query("web")[1], asker())
    assert got is not None and str(dnslib.DNSRecord.parse(got).rr[0].rdata) == "10.0.0.2"
    for type_ in ("AAAA", "MX"):
        got = answer(query("web", type_)[1], asker())
        assert got is not None and dnslib.DNSRecord.parse(got).rr == []
    got = answer(query("2.0.0.10.in-addr.arpa", "PTR")[1], asker())
    assert got is not None and str(dnslib.DNSRecord.parse(got).rr[0].rdata) == "web.net."


@pytest.mark.parametrize(
    ("name", "type_"), [("example.com", "A"), ("9.0.0.10.in-addr.arpa", "PTR")]
)
def test_others_are_not_ours_to_answer(name: str, type_: str) -> None:
    assert answer(query(name, type_)[1], asker()) is None


async def test_upstreams_in_order_until_one_answers() -> None:
    asked = []

    async def ask(data: bytes, query: dnswire.Query, upstream: str) -> bytes:
        asked.append(upstream)
        if upstream != "c":
            raise ConnectionRefusedError
        return b"yes"

    data, parsed = query("example.com")
    assert await ask_upstreams(parsed, data, ["a", "b", "c", "d"], ask) == b"yes"
    assert asked == ["a", "b", "c"]
    assert await ask_upstreams(parsed, data, ["a"], ask) is None


class OneMember:
    """A directory whose only members are loopback."""

    def __init__(self, *upstreams: str) -> None:
        self.upstreams = upstreams
        self.members = {IPv4Address("127.8.0.1"), IPv4Address("127.0.0.1")}

    def asker(self, network: NetworkRecord, address: IPv4Address) -> Asker | None:
        return asker(*self.upstreams) if address in self.members else None


@pytest.fixture
async def directory() -> OneMember:
    return OneMember()


@pytest.fixture
async def ports(
    directory: OneMember, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[int, int]]:
    """A server on 127.8.0.1 beside whoever has port 53: on ports that the redirect tells."""
    found: list[tuple[int, int]] = []
    undone: list[tuple[int, int]] = []
    servers = DnsServers(
        directory,
        lambda address, udp, tcp: found.append((udp, tcp)),
        lambda address, udp, tcp: undone.append((udp, tcp)),
    )
    monkeypatch.setattr(dns, "PORT", await _taken_port())
    assert await servers.ensure(NET) == "127.8.0.1"
    assert await servers.ensure(NET) == "127.8.0.1"
    assert len(found) == 1
    yield found[0]
    servers.close()
    servers.stop(NET.id)
    assert undone == found


_holders: list[asyncio.DatagramTransport] = []


async def _taken_port() -> int:
    loop = asyncio.get_running_loop()
    holder, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.8.0.1", 0)
    )
    _holders.append(holder)
    port: int = holder.get_extra_info("sockname")[1]
    return port


async def ask_server(port: int, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    found: asyncio.Future[bytes] = loop.create_future()

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            found.set_result(data)

    transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=("127.8.0.1", port))
    try:
        transport.sendto(data)
        async with asyncio.timeout(1):
            return await found
    finally:
        transport.close()


async def test_over_udp(ports: tuple[int, int]) -> None:
    got = dnslib.DNSRecord.parse(await ask_server(ports[0], query("web")[0]))
    assert str(got.rr[0].rdata) == "10.0.0.2"


async def test_nobody_outside_without_upstreams(ports: tuple[int, int]) -> None:
    got = dnslib.DNSRecord.parse(await ask_server(ports[0], query("example.com")[0]))
    assert got.header.rcode == dnswire.SERVFAIL


async def test_strangers_are_not_answered(directory: OneMember, ports: tuple[int, int]) -> None:
    directory.members.clear()
    with pytest.raises(TimeoutError):
        await ask_server(ports[0], query("web")[0])


async def test_over_tcp(ports: tuple[int, int]) -> None:
    reader, writer = await asyncio.open_connection("127.8.0.1", ports[1])
    for _ in range(2):
        data = query("web")[0]
        writer.write(len(data).to_bytes(2, "big") + data)
        size = int.from_bytes(await reader.readexactly(2), "big")
        got = dnslib.DNSRecord.parse(await reader.readexactly(size))
        assert str(got.rr[0].rdata) == "10.0.0.2"
    writer.write(b"\0\4junk")
    assert await reader.read() == b""
    writer.close()


async def test_asking_over_udp_takes_only_the_right_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    data, parsed = query("example.com")

    class Upstream(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, got: bytes, addr: tuple[str, int]) -> None:
            self.transport.sendto(b"\0\0" + got[2:], addr)  # somebody guesses
            self.transport.sendto(dnswire.addresses(parsed, [WEB]), addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Upstream, local_addr=("127.8.0.1", 0))
    monkeypatch.setattr(dns, "PORT", transport.get_extra_info("sockname")[1])
    got = await dns.ask_udp(data, parsed, "127.8.0.1")
    assert dnslib.DNSRecord.parse(got).rr
    transport.close()
