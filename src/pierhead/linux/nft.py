"""nf_tables over raw nfnetlink: tables, chains, sets, maps and rules, packed by hand.

libnftables reads the host's whole rule set for some commands, other people's tables
included, and version 1.0.6 crashes on tables that a newer one wrote; inside pierd that
would be pierd's end. Here nothing is read but what is asked for, a change takes 20 µs
instead of 300, and all messages of one ``transaction`` hold together or not at all.

The pure functions build messages and expressions; ``Nft`` sends them. Numbers in
attributes are big-endian, data of packets as it is on the wire, interface names are 16
bytes. Source: linux/netfilter/nf_tables.h, and what nft(8) sends.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pierhead.linux.netlink import attribute, attributes

_NETLINK_NETFILTER: Final = 12
_SUBSYSTEM: Final = 10 << 8
_NEWTABLE, _GETTABLE, _DELTABLE = 0, 1, 2
_NEWCHAIN, _GETCHAIN = 3, 4
_NEWRULE, _GETRULE, _DELRULE = 6, 7, 8
_NEWSET: Final = 9
_NEWSETELEM, _DELSETELEM = 12, 14
_BATCH_BEGIN: Final = 0x10
_BATCH_END: Final = 0x11
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_F_REQUEST, _F_ACK, _F_DUMP = 0x1, 0x4, 0x300
_F_CREATE, _F_APPEND = 0x400, 0x800
_NESTED: Final = 0x8000
_HEADER: Final = struct.Struct("=IHHII")
_RECEIVE_BYTES: Final = 1 << 18
_SEND_BYTES: Final = 16 << 20
_SO_SNDBUFFORCE: Final = 32
_ELEMENTS_PER_MESSAGE: Final = 500  # an attribute's length has 16 bits

IPV4: Final = 2
PREROUTING, FORWARD, OUTPUT, POSTROUTING = 0, 2, 3, 4
DROP, ACCEPT = 0, 1
JUMP: Final = -3
REG_1, REG_2 = 1, 2  # of 16 bytes each
REG32_0: Final = 8  # REG_1 is REG32_0 to 3, of 4 bytes each
EQ, NEQ = 0, 1
NETWORK, TRANSPORT = 1, 2
META_IIFNAME, META_OIFNAME, META_L4PROTO = 6, 7, 16
CT_STATE, CT_STATUS = 0, 2
FIB_SADDR, FIB_DADDR = 1, 2
_FIB_ADDRTYPE: Final = 3
_SET_INTERVAL, _SET_MAP = 0x4, 0x8
_INTERVAL_END: Final = 1

# nft(8)'s numbers for types; the kernel keeps them for whoever lists the table
TYPE_IPV4, TYPE_PROTOCOL, TYPE_SERVICE, TYPE_IFNAME = 7, 12, 13, 41
_TYPE_BITS: Final = 6
HOST_ENDIAN, BIG_ENDIAN = 1, 2


class NftError(OSError):
    """The kernel refused; nothing of the transaction was done."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request of a transaction."""

    kind: int
    flags: int
    payload: bytes
    what: str  # for the error's text


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that is there: how to name it, and its comment."""

    chain: str
    handle: int
    comment: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that is there. ``policy`` is ACCEPT, DROP, or None for no base chain."""

    policy: int | None
    rules: tuple[Rule, ...]


# -- packing -------------------------------------------------------------------------------


def _nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value & 0xFFFFFFFF))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _family(family: int = IPV4, resource: int = 0) -> bytes:
    return struct.pack("!BBH", family, 0, resource)


def ifname(name: str) -> bytes:
    """An interface's name as a key."""
    return os.fsencode(name).ljust(16, b"\0")


def padded(raw: bytes) -> bytes:
    """A part of a concatenated key: whole registers of four bytes."""
    return raw + b"\0" * (-len(raw) % 4)


# -- objects -------------------------------------------------------------------------------


def add_table(table: str) -> Message:
    return Message(_NEWTABLE, _F_CREATE, _family() + _text(1, table), f"add table {table}")


def delete_table(table: str) -> Message:
    return Message(_DELTABLE, 0, _family() + _text(1, table), f"delete table {table}")


def add_chain(
    table: str, chain: str, *, kind: str = "", hook: int = 0, priority: int = 0
) -> Message:
    """A base chain with policy accept when ``kind`` ("filter" or "nat") is given."""
    body = _family() + _text(1, table) + _text(3, chain)
    if kind:
        body += _nested(4, _u32(1, hook), _u32(2, priority))
        body += _u32(5, ACCEPT) + _text(7, kind)
    return Message(_NEWCHAIN, _F_CREATE, body, f"add chain {table} {chain}")


def add_set(
    table: str,
    name: str,
    number: int,
    key: Sequence[int],
    key_bytes: int,
    *,
    data: Sequence[int] = (),
    data_bytes: int = 0,
    interval: bool = False,
    byteorder: int = 0,
) -> Message:
    """A set, or with ``data`` a map. ``number`` is unique within the transaction.

    ``key`` and ``data`` are the types of the concatenated parts; ``byteorder`` of a key
    with one part is for whoever lists the set.
    """
    body = _family() + _text(1, table) + _text(2, name)
    flags = (_SET_INTERVAL if interval else 0) | (_SET_MAP if data else 0)
    body += _u32(3, flags) + _u32(4, _concatenated(key)) + _u32(5, key_bytes)
    if data:
        body += _u32(6, _concatenated(data)) + _u32(7, data_bytes)
    body += _u32(10, number)
    body += attribute(13, struct.pack("=BBI", 0, 4, byteorder))
    return Message(_NEWSET, _F_CREATE, body, f"add set {table} {name}")


def _concatenated(types: Sequence[int]) -> int:
    value = 0
    for one in types:
        value = value << _TYPE_BITS | one
    return value


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a set or a map. ``end``: not a key, where an interval ends (exclusive)."""

    key: bytes
    data: bytes | None = None
    end: bool = False


def _element(element: Element) -> bytes:
    parts = [_nested(1, attribute(1, element.key))]
    if element.data is not None:
        parts.append(_nested(2, attribute(1, element.data)))
    if element.end:
        parts.append(_u32(3, _INTERVAL_END))
    return _nested(1, *parts)


def add_elements(table: str, name: str, elements: Sequence[Element]) -> list[Message]:
    """One that is there with other data makes the transaction fail with EEXIST."""
    return _elements(_NEWSETELEM, _F_CREATE, "add to", table, name, elements)


def delete_elements(table: str, name: str, elements: Sequence[Element]) -> list[Message]:
    """One that isn't there makes the transaction fail with ENOENT."""
    bare = [Element(one.key, None, one.end) for one in elements]
    return _elements(_DELSETELEM, 0, "delete from", table, name, bare)


def _elements(
    kind: int, flags: int, verb: str, table: str, name: str, elements: Sequence[Element]
) -> list[Message]:
    messages = []
    for start in range(0, len(elements), _ELEMENTS_PER_MESSAGE):
        some = elements[start : start + _ELEMENTS_PER_MESSAGE]
        body = _family() + _text(1, table) + _text(2, name)
        body += _nested(3, *map(_element, some))
        messages.append(Message(kind, flags, body, f"{verb} set {table} {name}"))
    return messages


def add_rule(
    table: str, chain: str, *expressions: bytes, comment: str = "", first: bool = False
) -> Message:
    """At the chain's end, or its beginning with ``first``."""
    body = _family() + _text(1, table) + _text(2, chain) + _nested(4, *expressions)
    if comment:
        raw = comment.encode() + b"\0"
        body += attribute(7, bytes([0, len(raw)]) + raw)
    flags = _F_CREATE | (0 if first else _F_APPEND)
    return Message(_NEWRULE, flags, body, f"add rule {table} {chain}")


def delete_rule(table: str, rule: Rule) -> Message:
    body = _family() + _text(1, table) + _text(2, rule.chain)
    body += attribute(3, struct.pack("!Q", rule.handle))
    return Message(_DELRULE, 0, body, f"delete rule {table} {rule.chain} {rule.handle}")


# -- expressions ---------------------------------------------------------------------------


def _expression(name: str, *parts: bytes) -> bytes:
    return _nested(1, _text(1, name), _nested(2, *parts))


def meta(key: int, register: int = REG_1) -> bytes:
    return _expression("meta", _u32(2, key), _u32(1, register))


def payload(base: int, offset: int, length: int, register: int = REG_1) -> bytes:
    return _expression(
        "payload", _u32(1, register), _u32(2, base), _u32(3, offset), _u32(4, length)
    )


def conntrack(key: int, register: int = REG_1) -> bytes:
    return _expression("ct", _u32(2, key), _u32(1, register))


def address_type(which: int, register: int = REG_1) -> bytes:
    """``fib saddr type`` or ``fib daddr type``."""
    return _expression("fib", _u32(3, which), _u32(2, _FIB_ADDRTYPE), _u32(1, register))


def compare(data: bytes, *, op: int = EQ, register: int = REG_1) -> bytes:
    return _expression("cmp", _u32(1, register), _u32(2, op), _nested(3, attribute(1, data)))


def has_bits(mask: int, register: int = REG_1) -> bytes:
    """Goes on if one of the bits of a host-endian number is set."""
    length = 4
    return _expression(
        "bitwise",
        _u32(1, register),
        _u32(2, register),
        _u32(3, length),
        _nested(4, attribute(1, struct.pack("=I", mask))),
        _nested(5, attribute(1, bytes(length))),
    ) + compare(bytes(length), op=NEQ, register=register)


def lookup(name: str, register: int = REG_1, *, into: int | None = None, no: bool = False) -> bytes:
    """Goes on if the set has the key (with ``no`` if not); a map's data comes ``into``."""
    parts = [_text(1, name), _u32(2, register)]
    if into is not None:
        parts.append(_u32(3, into))
    if no:
        parts.append(_u32(5, 1))
    return _expression("lookup", *parts)


def verdict(code: int, chain: str = "") -> bytes:
    """ACCEPT, DROP, or JUMP to ``chain``."""
    parts = [_u32(1, code)]
    if chain:
        parts.append(_text(2, chain))
    return _expression("immediate", _u32(1, 0), _nested(2, _nested(2, *parts)))


def dnat(address_register: int, port_register: int) -> bytes:
    return _expression(
        "nat", _u32(1, 1), _u32(2, IPV4), _u32(3, address_register), _u32(5, port_register)
    )


def masquerade() -> bytes:
    return _expression("masq")


def counter() -> bytes:
    return _expression("counter")


# -- the socket ----------------------------------------------------------------------------


class Nft:
    """One NETLINK_NETFILTER socket in the namespace of the thread that opened it."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
        )
        self._socket.bind((0, 0))
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BYTES)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def transaction(self, messages: Iterable[Message]) -> None:
        """Do all or nothing. Raises ``NftError`` with the first errno and its message."""
        messages = list(messages)
        if not messages:
            return
        first = self._sequence + 1
        parts = [self._pack(_BATCH_BEGIN, _F_REQUEST, _family(0, 10))]
        for number, message in enumerate(messages, start=1):
            # An error is always answered; of what went well only the last one is.
            ack = _F_ACK if number == len(messages) else 0
            flags = _F_REQUEST | ack | message.flags
            parts.append(self._pack(_SUBSYSTEM | message.kind, flags, message.payload))
        parts.append(self._pack(_BATCH_END, _F_REQUEST, _family(0, 10)))
        self._socket.send(b"".join(parts))
        self._check(first, messages)

    def _pack(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0)
        return header + body

    def _check(self, first: int, messages: Sequence[Message]) -> None:
        """Every answer is there once send(2) has returned: the kernel works in the call."""
        last = self._sequence
        answered = False
        failure: NftError | None = None
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            for kind, sequence, body in _split(data):
                if kind != _NLMSG_ERROR or not first <= sequence <= last:
                    continue
                answered = True
                code = -struct.unpack_from("=i", body)[0]
                if code and failure is None:
                    index = min(max(sequence - first - 1, 0), len(messages) - 1)
                    failure = NftError(code, f"can't {messages[index].what}: {os.strerror(code)}")
        if failure is not None:
            raise failure
        if not answered:
            raise NftError(errno.EIO, "the kernel did not answer")

    def has_table(self, table: str) -> bool:
        return bool(self._get(_GETTABLE, _family() + _text(1, table)))

    def tables(self) -> list[str]:
        """Names of all tables of family ip."""
        found = self._get(_GETTABLE, _family(), dump=True)
        return [_string(attributes(body[4:]).get(1)) for body in found]

    def chain(self, table: str, chain: str) -> Chain | None:
        """A chain with its rules; None when there is none."""
        found = self._get(_GETCHAIN, _family() + _text(1, table) + _text(3, chain))
        if not found:
            return None
        raw = attributes(found[0][4:]).get(5)
        rules = []
        listed = self._get(_GETRULE, _family() + _text(1, table) + _text(2, chain), dump=True)
        for body in listed:
            values = attributes(body[4:])
            # Older kernels list every chain of the table, or every table.
            if _string(values.get(1)) == table and _string(values.get(2)) == chain:
                handle = struct.unpack("!Q", values[3])[0]
                rules.append(Rule(chain, handle, _comment(values.get(7, b""))))
        return Chain(struct.unpack("!I", raw)[0] if raw else None, tuple(rules))

    def _get(self, kind: int, body: bytes, *, dump: bool = False) -> list[bytes]:
        flags = _F_REQUEST | (_F_DUMP if dump else 0)
        self._socket.send(self._pack(_SUBSYSTEM | kind, flags, body))
        found: list[bytes] = []
        while True:
            for answer, sequence, content in _split(self._socket.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if answer == _NLMSG_DONE:
                    return found
                if answer == _NLMSG_ERROR:
                    code = -struct.unpack_from("=i", content)[0]
                    if code in (0, errno.ENOENT):
                        return found
                    raise NftError(code, f"can't read the rule set: {os.strerror(code)}")
                found.append(content)
                if not dump:
                    return found


def _split(data: bytes) -> list[tuple[int, int, bytes]]:
    """The messages of one datagram: (type, sequence, body)."""
    messages = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            break
        messages.append((kind, sequence, data[offset + _HEADER.size : offset + length]))
        offset += length + (-length % 4)
    return messages


def _string(raw: bytes | None) -> str:
    return os.fsdecode((raw or b"").rstrip(b"\0"))


def _comment(userdata: bytes) -> str:
    """nft(8)'s comment among a rule's user data: (type, length, value), type 0."""
    offset = 0
    while offset + 2 <= len(userdata):
        kind, length = userdata[offset], userdata[offset + 1]
        if kind == 0:
            return _string(userdata[offset + 2 : offset + 2 + length])
        offset += 2 + length
    return ""
