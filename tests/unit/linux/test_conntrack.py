from __future__ import annotations

import socket
import struct

import pytest

from pierhead.linux import conntrack
from pierhead.linux.netlink import attribute


def flow(protocol: int, port: int) -> dict[int, bytes]:
    proto = attribute(1, bytes([protocol])) + attribute(3, struct.pack("!H", port))
    return {1: attribute(2, proto)}


def test_where_a_flow_was_sent() -> None:
    assert conntrack._sent_to(flow(socket.IPPROTO_UDP, 53)) == 53
    assert conntrack._sent_to(flow(socket.IPPROTO_TCP, 53)) is None
    assert conntrack._sent_to({}) is None


@pytest.mark.root
def test_nothing_to_forget() -> None:
    assert conntrack.forget_udp([1]) == 0
