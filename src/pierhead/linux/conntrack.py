"""Forgetting tracked UDP flows, so that the next packet is looked up in the rules again.

nf_conntrack decides about NAT once per flow. A client that goes on sending from one port
would reach a container that is gone, or never one that came after its first packet.
TCP needs nothing: its next connection is a new flow. Source: nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection
from typing import Final

from pierhead.linux.netlink import attribute, attributes

_NETLINK_NETFILTER: Final = 12
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_HEADER: Final = struct.Struct("=IHHII")
_F_REQUEST, _F_ACK, _F_DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_NESTED: Final = 0x8000
_TUPLE_ORIG, _TUPLE_PROTO = 1, 2
_PROTO_NUM, _PROTO_DST_PORT = 1, 3
_ZONE, _ID = 18, 12
_IPV4: Final = struct.pack("!BBH", socket.AF_INET, 0, 0)


def forget_udp(ports: Collection[int]) -> int:
    """Delete the IPv4 UDP flows that were sent to one of ``ports``; returns how many.

    Reads the whole table: milliseconds for ten thousand flows, so call it in a thread.
    Raises ``OSError``.
    """
    wanted = set(ports)
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
    ) as sock:
        sock.bind((0, 0))
        sock.send(_message(_GET, _F_REQUEST | _F_DUMP, 1, _IPV4))
        doomed = [
            values
            for kind, body in _answers(sock)
            if kind not in (_ERROR, _DONE) and _sent_to(values := attributes(body[4:])) in wanted
        ]
        for values in doomed:
            body = _IPV4 + attribute(_TUPLE_ORIG | _NESTED, values[_TUPLE_ORIG])
            body += b"".join(
                attribute(kind, values[kind]) for kind in (_ZONE, _ID) if kind in values
            )
            sock.send(_message(_DELETE, _F_REQUEST | _F_ACK, 2, body))
            for kind, answer in _answers(sock):
                code = -struct.unpack_from("=i", answer)[0] if kind == _ERROR else 0
                if code and code != errno.ENOENT:  # it has timed out meanwhile
                    raise OSError(code, "can't delete a conntrack entry")
    return len(doomed)


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def _answers(sock: socket.socket) -> list[tuple[int, bytes]]:
    """Everything up to the end of a dump or the acknowledgement."""
    found: list[tuple[int, bytes]] = []
    while True:
        data = sock.recv(1 << 18)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
            if length < _HEADER.size:
                return found
            found.append((kind, data[offset + _HEADER.size : offset + length]))
            if kind in (_ERROR, _DONE):
                return found
            offset += length + (-length % 4)


def _sent_to(values: dict[int, bytes]) -> int | None:
    """The destination port of a UDP flow's first packet."""
    protocol = attributes(attributes(values.get(_TUPLE_ORIG, b"")).get(_TUPLE_PROTO, b""))
    if protocol.get(_PROTO_NUM) != bytes([socket.IPPROTO_UDP]):
        return None
    raw = protocol.get(_PROTO_DST_PORT, b"")
    return int.from_bytes(raw, "big") if raw else None
