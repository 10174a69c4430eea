"""Messages as the kernel reads them, compared byte by byte where the layout is fixed."""

from __future__ import annotations

import socket
import struct

import pytest

from pierhead.linux import netlink


class FakeSocket:
    """Keeps what is sent and acknowledges it with the codes given (0: success)."""

    def __init__(self, *codes: int) -> None:
        self.sent: list[bytes] = []
        self.codes = list(codes)

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def recv(self, _size: int) -> bytes:
        answers = b""
        offset = 0
        data = self.sent[-1]
        while offset < len(data):
            length, _, _, sequence, _ = struct.unpack_from("=IHHII", data, offset)
            code = self.codes.pop(0) if self.codes else 0
            body = struct.pack("=i", -code) + data[offset : offset + 16]
            answers += struct.pack("=IHHII", 16 + len(body), 2, 0, sequence, 0) + body
            offset += length + (-length % 4)
        return answers


@pytest.fixture
def channel() -> tuple[netlink.Netlink, FakeSocket]:
    instance = netlink.Netlink.__new__(netlink.Netlink)
    fake = FakeSocket()
    instance._socket = fake  # type: ignore[assignment]
    instance._sequence = 0
    instance._batch = None
    return instance, fake


def test_attributes_are_padded_and_parsed_back() -> None:
    data = netlink.attribute(3, b"eth0\0") + netlink.attribute(4, b"\1\0\0\0")
    assert len(data) == 12 + 8
    assert netlink.attributes(data) == {3: b"eth0\0", 4: b"\1\0\0\0"}


def test_a_truncated_attribute_ends_the_list() -> None:
    assert netlink.attributes(b"\1\0\3\0") == {}
    assert netlink.attributes(b"\x08") == {}


def test_an_ipv4_address_carries_its_broadcast(
    channel: tuple[netlink.Netlink, FakeSocket],
) -> None:
    instance, fake = channel
    instance.add_address(7, "10.1.2.3/24")
    header, body = fake.sent[0][:16], fake.sent[0][16:]
    assert struct.unpack("=IHHII", header)[1:3] == (20, 0x1 | 0x4 | 0x200 | 0x400)
    assert struct.unpack("=BBBBI", body[:8]) == (socket.AF_INET, 24, 0, 0, 7)
    values = netlink.attributes(body[8:])
    assert values[2] == socket.inet_aton("10.1.2.3")
    assert values[4] == socket.inet_aton("10.1.2.255")


def test_an_ipv6_address_skips_duplicate_detection(
    channel: tuple[netlink.Netlink, FakeSocket],
) -> None:
    instance, fake = channel
    instance.add_address(7, "fd00::2/64")
    values = netlink.attributes(fake.sent[0][24:])
    assert values[8] == struct.pack("=I", 2)
    assert 4 not in values


def test_a_default_route_has_no_destination(channel: tuple[netlink.Netlink, FakeSocket]) -> None:
    instance, fake = channel
    instance.add_route("default", gateway="10.1.2.1", link=2)
    values = netlink.attributes(fake.sent[0][28:])
    assert 1 not in values
    assert values[5] == socket.inet_aton("10.1.2.1")
    assert values[4] == struct.pack("=I", 2)


def test_a_batch_is_one_datagram(channel: tuple[netlink.Netlink, FakeSocket]) -> None:
    instance, fake = channel
    with instance.batch():
        instance.set_link(1, up=True)
        instance.add_address(2, "10.1.2.3/24")
        instance.add_route("default", gateway="10.1.2.1")
    assert len(fake.sent) == 1


def test_the_first_error_of_a_batch_is_raised(
    channel: tuple[netlink.Netlink, FakeSocket],
) -> None:
    instance, fake = channel
    fake.codes = [0, 101, 22]
    with pytest.raises(OSError, match=r"can't add the route to 10\.9") as caught:
        with instance.batch():
            instance.set_link(1, up=True)
            instance.add_route("10.9.0.0/16", gateway="10.1.2.1")
            instance.set_link(9, up=True)
    assert caught.value.errno == 101


def test_what_is_there_already_is_fine(channel: tuple[netlink.Netlink, FakeSocket]) -> None:
    instance, fake = channel
    fake.codes = [17]
    instance.add_address(2, "10.1.2.3/24")


def test_a_failed_block_sends_nothing(channel: tuple[netlink.Netlink, FakeSocket]) -> None:
    instance, fake = channel
    with pytest.raises(ZeroDivisionError), instance.batch():
        instance.set_link(1, up=True)
        raise ZeroDivisionError
    assert fake.sent == []
