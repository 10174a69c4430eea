"""rtnetlink, packed by hand: what container networking needs, 2 ms for a whole set-up.

A ``Netlink`` is a blocking socket in the namespace of the thread that opened it; a
request takes about 20 µs, so the event loop may call it. Requests that belong together
go out in one ``batch``. Addresses are text ("172.17.0.2/16"). Raises ``OSError`` with
the kernel's errno and a text naming the request (and the kernel's own reason, when it
gives one). Sources: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_F_REQUEST: Final = 1
_F_ACK: Final = 4
_F_DUMP: Final = 0x300
_F_EXCL: Final = 0x200
_F_CREATE: Final = 0x400
_F_ACK_TLVS: Final = 0x200  # in an error: attributes follow
_F_CAPPED: Final = 0x100
_NLMSGERR_ATTR_MSG: Final = 1

_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER = 1, 3, 4, 10
_IFLA_LINKINFO, _IFLA_IFALIAS, _IFLA_AF_SPEC, _IFLA_NET_NS_FD = 18, 20, 26, 28
_IFLA_EXT_MASK: Final = 29
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_IFLA_INET6_ADDR_GEN_MODE: Final = 8
_ADDR_GEN_NONE: Final = b"\x01"
_VETH_INFO_PEER: Final = 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD: Final = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 7, 15
_RT_TABLE_MAIN, _RTPROT_STATIC, _RTN_UNICAST = 254, 4, 1
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_NOWHERE = 0, 253, 255
_IFF_UP: Final = 1
_NESTED: Final = 0x8000

_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 10, 11, 12

_HEADER: Final = struct.Struct("=IHHII")
_IFINFO: Final = struct.Struct("=BxHiII")
_IFADDR: Final = struct.Struct("=BBBBI")
_RTMSG: Final = struct.Struct("=BBBBBBBBI")
_ATTR: Final = struct.Struct("=HH")
_RECEIVE_BYTES: Final = 1 << 16
_RECEIVE_TIMEOUT: Final = struct.pack("@ll", 2, 0)  # struct timeval: 2 s
_LINK_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    kind: str  # "bridge", "veth", "" for hardware
    mac: str
    mtu: int
    up: bool
    master: int  # index of the bridge it belongs to, 0 for none
    alias: str


@dataclass(frozen=True, slots=True)
class Address:
    index: int  # of the link
    address: str
    prefix_len: int
    family: int


@dataclass(frozen=True, slots=True)
class Route:
    destination: str  # "default" or "10.0.0.0/8"
    gateway: str
    index: int
    family: int


def attribute(kind: int, payload: bytes) -> bytes:
    """One netlink attribute, padded to four bytes."""
    return _ATTR.pack(4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in ``data``; of several of one kind the last."""
    found = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTR.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += length + (-length % 4)
    return found


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _text(value: str) -> bytes:
    return os.fsencode(value) + b"\0"


def _string(value: bytes) -> str:
    return os.fsdecode(value.rstrip(b"\0"))


def _mac(value: str) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _ip(address: str) -> bytes:
    return socket.inet_pton(_family(address), address)


def _split(address: str) -> tuple[str, int]:
    """ "10.0.0.1/24" → ("10.0.0.1", 24)."""
    host, slash, length = address.partition("/")
    return host, int(length) if slash else (128 if ":" in host else 32)


def _link_message(
    *,
    index: int = 0,
    flags: int = 0,
    change: int = 0,
    name: str = "",
    mac: str = "",
    mtu: int = 0,
    master: int | None = None,
    alias: str = "",
    netns_fd: int | None = None,
) -> bytes:
    parts = [_IFINFO.pack(0, 0, index, flags, change)]
    if name:
        parts.append(attribute(_IFLA_IFNAME, _text(name)))
    if mac:
        parts.append(attribute(_IFLA_ADDRESS, _mac(mac)))
    if mtu:
        parts.append(attribute(_IFLA_MTU, _u32(mtu)))
    if master is not None:
        parts.append(attribute(_IFLA_MASTER, _u32(master)))
    if alias:
        parts.append(attribute(_IFLA_IFALIAS, _text(alias)))
    if netns_fd is not None:
        parts.append(attribute(_IFLA_NET_NS_FD, _u32(netns_fd)))
    return b"".join(parts)


def _kind(kind: str, data: bytes = b"") -> bytes:
    info = attribute(_IFLA_INFO_KIND, _text(kind))
    if data:
        info += attribute(_IFLA_INFO_DATA | _NESTED, data)
    return attribute(_IFLA_LINKINFO | _NESTED, info)


class Netlink:
    """One NETLINK_ROUTE socket. Not for several threads at once."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, 0))
        # The kernel answers within the call that asks; nothing may stop the event loop for ever.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _RECEIVE_TIMEOUT)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            try:
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            except OSError:
                pass  # older kernels: only the reasons are missing
        self._sequence = 0
        self._batch: list[tuple[bytes, int, str, tuple[int, ...]]] | None = None

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Queue the requests made inside, send them in one datagram, check all answers.

        The kernel carries out all of them, in order; the first error is raised afterwards.
        Links that the batch itself makes have no index yet: name them, or give their index.
        """
        self._batch = []
        try:
            yield
            queued = self._batch
        finally:
            self._batch = None
        if queued:
            self._send(queued)

    def _request(
        self,
        kind: int,
        flags: int,
        payload: bytes,
        what: str,
        *,
        ignore: tuple[int, ...] = (),
    ) -> None:
        self._sequence += 1
        message = (
            _HEADER.pack(
                _HEADER.size + len(payload), kind, flags | _F_REQUEST | _F_ACK, self._sequence, 0
            )
            + payload
        )
        entry = (message, self._sequence, what, ignore)
        if self._batch is not None:
            self._batch.append(entry)
        else:
            self._send([entry])

    def _send(self, entries: list[tuple[bytes, int, str, tuple[int, ...]]]) -> None:
        self._socket.send(b"".join(entry[0] for entry in entries))
        waiting = {entry[1]: entry for entry in entries}
        failure: OSError | None = None
        while waiting:
            for kind, flags, sequence, payload in self._receive():
                if kind != _NLMSG_ERROR or sequence not in waiting:
                    continue
                _, _, what, ignore = waiting.pop(sequence)
                code = -struct.unpack_from("=i", payload)[0]
                if code and code not in ignore and failure is None:
                    failure = _error(code, what, flags, payload)
        if failure is not None:
            raise failure

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        """The messages of one datagram: (type, flags, sequence, payload)."""
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError as error:
            raise TimeoutError(errno.ETIMEDOUT, "rtnetlink does not answer") from error
        messages = []
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            if length < _HEADER.size:
                break
            messages.append((kind, flags, sequence, data[offset + _HEADER.size : offset + length]))
            offset += length + (-length % 4)
        return messages

    def _dump(self, kind: int, payload: bytes) -> list[bytes]:
        self._sequence += 1
        self._socket.send(
            _HEADER.pack(_HEADER.size + len(payload), kind, _F_REQUEST | _F_DUMP, self._sequence, 0)
            + payload
        )
        found: list[bytes] = []
        while True:
            for answer, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                if answer == _NLMSG_DONE:
                    return found
                if answer == _NLMSG_ERROR:
                    raise _error(-struct.unpack_from("=i", body)[0], "dump", flags, body)
                found.append(body)

    def links(self) -> list[Link]:
        return [_parse_link(body) for body in self._dump(_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0))]

    def link(self, name: str) -> Link | None:
        """One link by name; None when there is none."""
        payload = _link_message(name=name)
        for _ in range(_LINK_TRIES):
            # With an acknowledgement too, so that there is always something to read.
            self._sequence += 1
            flags = _F_REQUEST | _F_ACK
            header = _HEADER.pack(_HEADER.size + len(payload), _GETLINK, flags, self._sequence, 0)
            self._socket.send(header + payload)
            try:
                return self._link_answer(name)
            except TimeoutError:
                # Seen once in some 10,000 starts beside kills of other daemons: no answer at
                # all, not even an error. Asking again changes nothing, waiting would for ever.
                continue
        raise OSError(errno.ETIMEDOUT, f"can't look up {name}: the kernel does not answer")

    def _link_answer(self, name: str) -> Link | None:
        found: Link | None = None
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                if kind != _NLMSG_ERROR:
                    found = _parse_link(body)
                    continue
                code = -struct.unpack_from("=i", body)[0]
                if code in (0, errno.ENODEV):
                    return found
                raise _error(code, f"look up {name}", flags, body)

    def addresses(self, index: int = 0) -> list[Address]:
        """Addresses of one link, or of all."""
        found = []
        for body in self._dump(_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)):
            family, length, _, _, link = _IFADDR.unpack_from(body)
            if index and link != index:
                continue
            values = attributes(body[_IFADDR.size :])
            raw = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
            if raw and family in (socket.AF_INET, socket.AF_INET6):
                found.append(Address(link, socket.inet_ntop(family, raw), length, family))
        return found

    def routes(self, family: int = 0) -> list[Route]:
        """Unicast routes of the main table."""
        found = []
        for body in self._dump(_GETROUTE, _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            kind_family, length, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(body)
            values = attributes(body[_RTMSG.size :])
            if _RTA_TABLE in values:
                table = struct.unpack("=I", values[_RTA_TABLE])[0]
            if table != _RT_TABLE_MAIN or kind != _RTN_UNICAST:
                continue
            if kind_family not in (socket.AF_INET, socket.AF_INET6):
                continue
            destination = "default"
            if length:
                destination = f"{socket.inet_ntop(kind_family, values[_RTA_DST])}/{length}"
            gateway = values.get(_RTA_GATEWAY)
            oif = values.get(_RTA_OIF)
            found.append(
                Route(
                    destination,
                    socket.inet_ntop(kind_family, gateway) if gateway else "",
                    struct.unpack("=I", oif)[0] if oif else 0,
                    kind_family,
                )
            )
        return found

    def _index(self, link: int | str) -> int:
        """For requests that take only a number."""
        if isinstance(link, int):
            return link
        found = self.link(link)
        if found is None:
            raise OSError(errno.ENODEV, f"no such network interface: {link}")
        return found.index

    def ensure_bridge(
        self, name: str, addresses: tuple[str, ...] = (), *, mtu: int = 0, mac: str = ""
    ) -> Link:
        """Make the bridge unless it exists, with these addresses and up. Idempotent.

        Without ``mac`` the bridge takes on the lowest of its ports', which changes.
        """
        found = self.link(name)
        if found is None:
            message = _link_message(name=name, mtu=mtu, mac=mac, flags=_IFF_UP, change=_IFF_UP)
            self._request(
                _NEWLINK,
                _F_CREATE | _F_EXCL,
                message + _kind("bridge"),
                f"make the bridge {name}",
                ignore=(errno.EEXIST,),
            )
            found = self.link(name)
            if found is None:
                raise OSError(errno.ENODEV, f"the bridge {name} has gone")
        elif found.kind != "bridge":
            raise OSError(errno.EEXIST, f"{name} exists and is no bridge")
        elif not found.up or (mtu and mtu != found.mtu):
            self.set_link(found.index, up=True, mtu=mtu)
        for address in addresses:
            self.add_address(found.index, address)
        return found

    def add_veth(
        self,
        name: str,
        peer: str,
        *,
        netns_fd: int,
        mac: str = "",
        mtu: int = 0,
        master: int = 0,
        up: bool = True,
        peer_index: int = 0,
    ) -> None:
        """A veth pair: ``name`` here (in the bridge ``master``), ``peer`` in ``netns_fd``.

        The peer is made directly in its namespace (moving it there later costs 20 ms); it
        carries ``mac`` and is down: bring it up from inside. ``peer_index`` fixes its number
        (in a fresh namespace 2 is free), so that a batch inside needs no look-up. The host's
        end gets no IPv6 address of its own.
        """
        flags = _IFF_UP if up else 0
        message = _link_message(
            name=name, mtu=mtu, flags=flags, change=flags, master=master if master else None
        )
        inside = _link_message(name=peer, mac=mac, mtu=mtu, netns_fd=netns_fd, index=peer_index)
        self._request(
            _NEWLINK,
            _F_CREATE | _F_EXCL,
            message + _kind("veth", attribute(_VETH_INFO_PEER | _NESTED, inside)),
            f"make the interface pair {name}, {peer}",
        )

    def set_link(
        self,
        link: int | str,
        *,
        up: bool | None = None,
        master: int | None = None,
        mtu: int = 0,
        mac: str = "",
        name: str = "",
        alias: str = "",
        netns_fd: int | None = None,
    ) -> None:
        """Change what is given. ``master`` 0 takes the link out of its bridge."""
        if isinstance(link, str) and name:
            link = self._index(link)  # the name would be taken for the new one
        message = _link_message(
            index=link if isinstance(link, int) else 0,
            flags=_IFF_UP if up else 0,
            change=0 if up is None else _IFF_UP,
            name=name or (link if isinstance(link, str) else ""),
            mac=mac,
            mtu=mtu,
            master=master,
            alias=alias,
            netns_fd=netns_fd,
        )
        self._request(_SETLINK, 0, message, f"change the interface {link}")

    def disable_ipv6_autoconfiguration(self, link: int | str) -> None:
        """No link-local address, nor the traffic that finding one causes."""
        spec = attribute(
            socket.AF_INET6 | _NESTED, attribute(_IFLA_INET6_ADDR_GEN_MODE, _ADDR_GEN_NONE)
        )
        message = _link_message(
            index=link if isinstance(link, int) else 0, name=link if isinstance(link, str) else ""
        )
        self._request(
            _SETLINK,
            0,
            message + attribute(_IFLA_AF_SPEC | _NESTED, spec),
            f"configure IPv6 of {link}",
            ignore=(errno.EAFNOSUPPORT, errno.EOPNOTSUPP),
        )

    def add_address(self, link: int | str, address: str) -> None:
        """Add "10.0.0.2/24" or an IPv6 one (without duplicate detection); fine if it is there."""
        self._request(
            _NEWADDR,
            _F_CREATE | _F_EXCL,
            self._address(link, address),
            f"add the address {address}",
            ignore=(errno.EEXIST,),
        )

    def delete_address(self, link: int | str, address: str) -> None:
        """Remove it; fine if it is not there."""
        self._request(
            _DELADDR,
            0,
            self._address(link, address),
            f"remove the address {address}",
            ignore=(errno.EADDRNOTAVAIL, errno.ENODEV),
        )

    def _address(self, link: int | str, address: str) -> bytes:
        host, length = _split(address)
        family, raw = _family(host), _ip(host)
        message = _IFADDR.pack(family, length, 0, 0, self._index(link))
        message += attribute(_IFA_LOCAL, raw) + attribute(_IFA_ADDRESS, raw)
        if family == socket.AF_INET6:
            message += attribute(_IFA_FLAGS, _u32(_IFA_F_NODAD))
        elif length < 31:
            host_mask = (1 << (32 - length)) - 1
            broadcast = int.from_bytes(raw, "big") | host_mask
            message += attribute(_IFA_BROADCAST, broadcast.to_bytes(4, "big"))
        return message

    def add_route(
        self, destination: str, *, gateway: str = "", link: int | str = 0, source: str = ""
    ) -> None:
        """``destination`` "default", "10.1.0.0/16" or IPv6; fine if it is there."""
        self._request(
            _NEWROUTE,
            _F_CREATE | _F_EXCL,
            self._route(destination, gateway, link, source),
            f"add the route to {destination}",
            ignore=(errno.EEXIST,),
        )

    def delete_route(self, destination: str, *, gateway: str = "", link: int | str = 0) -> None:
        """Remove it; fine if it is not there."""
        self._request(
            _DELROUTE,
            0,
            self._route(destination, gateway, link, "", any_scope=True),
            f"remove the route to {destination}",
            ignore=(errno.ESRCH, errno.ENODEV),
        )

    def _route(
        self,
        destination: str,
        gateway: str,
        link: int | str,
        source: str,
        *,
        any_scope: bool = False,
    ) -> bytes:
        if destination == "default":
            family, length, raw = _family(gateway or source), 0, b""
        else:
            host, length = _split(destination)
            family, raw = _family(host), _ip(host)
        scope = _SCOPE_UNIVERSE if gateway or family == socket.AF_INET6 else _SCOPE_LINK
        if any_scope:  # of what is removed nobody need know it
            scope = _SCOPE_NOWHERE
        message = _RTMSG.pack(
            family, length, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, scope, _RTN_UNICAST, 0
        )
        if length:
            message += attribute(_RTA_DST, raw)
        if gateway:
            message += attribute(_RTA_GATEWAY, _ip(gateway))
        if link:
            message += attribute(_RTA_OIF, _u32(self._index(link)))
        if source:
            message += attribute(_RTA_PREFSRC, _ip(source))
        return message

    def delete_link(self, link: int | str) -> None:
        """Fine if it is not there. Waits for RCU: 20 ms; a veth goes by itself with its peer."""
        message = _link_message(
            index=link if isinstance(link, int) else 0, name=link if isinstance(link, str) else ""
        )
        self._request(_DELLINK, 0, message, f"remove the interface {link}", ignore=(errno.ENODEV,))


def _error(code: int, what: str, flags: int, payload: bytes) -> OSError:
    """``OSError`` for an NLMSG_ERROR, with the kernel's reason from the extended answer."""
    reason = os.strerror(code)
    if flags & _F_ACK_TLVS:
        offset = 4 + _HEADER.size
        if not flags & _F_CAPPED:
            offset = 4 + struct.unpack_from("=I", payload, 4)[0]
        text = attributes(payload[offset:]).get(_NLMSGERR_ATTR_MSG)
        if text:
            reason = f"{reason} ({_string(text)})"
    return OSError(code, f"can't {what}: {reason}")


def _parse_link(body: bytes) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    values = attributes(body[_IFINFO.size :])
    info = attributes(values.get(_IFLA_LINKINFO, b""))
    mtu, master = values.get(_IFLA_MTU), values.get(_IFLA_MASTER)
    return Link(
        index=index,
        name=_string(values.get(_IFLA_IFNAME, b"")),
        kind=_string(info.get(_IFLA_INFO_KIND, b"")),
        mac=values.get(_IFLA_ADDRESS, b"").hex(":"),
        mtu=struct.unpack("=I", mtu)[0] if mtu else 0,
        up=bool(flags & _IFF_UP),
        master=struct.unpack("=I", master)[0] if master else 0,
        alias=_string(values.get(_IFLA_IFALIAS, b"")),
    )
