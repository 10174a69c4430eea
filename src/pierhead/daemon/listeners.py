"""Where pierd listens: unix sockets, TCP with or without TLS, sockets systemd passed.

Opening is apart from serving, so that an address in use is found before anything is done,
and so that clients can queue while pierd recovers.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import ipaddress
import logging
import os
import socket
import ssl
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

BACKLOG: Final = 512
DEFAULT_PORT: Final = 2375
DEFAULT_TLS_PORT: Final = 2376
FIRST_PASSED_FD: Final = 3
GROUPS: Final = ("docker", "pierhead")


class ListenError(Exception):
    """An address can't be listened on; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS options, as given."""

    on: bool = False
    verify: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(slots=True)
class Listener:
    """An open listening socket."""

    host: str  # as given
    sock: socket.socket
    tls: ssl.SSLContext | None = None
    path: Path | None = None  # to remove at stop: only of sockets we made
    inode: int = 0

    def remove(self) -> None:
        """Remove the socket file, unless somebody has put another one there."""
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            if self.path.lstat().st_ino == self.inode:
                self.path.unlink()


def open_all(hosts: Sequence[str], tls: Tls, group: str) -> list[Listener]:
    """Open every host, or none: raises ``ListenError``."""
    opened: list[Listener] = []
    try:
        on_tcp = any(host.startswith(("tcp://", "fd://")) for host in hosts)
        context = tls_context(tls) if on_tcp else None
        for host in dict.fromkeys(hosts):
            kind, _, address = host.partition("://")
            if kind == "unix":
                opened.append(_unix(host, address, group))
            elif kind == "tcp":
                opened += _tcp(host, address, context)
            elif kind == "fd":
                for sock in passed_sockets(address, os.environ):
                    local = sock.family == socket.AF_UNIX
                    opened.append(Listener(host, sock, tls=None if local else context))
            else:
                raise ListenError(f"{host}: it begins with unix://, tcp:// or fd://")
    except BaseException:
        for listener in opened:
            listener.remove()
            listener.sock.close()
        raise
    return opened


def tls_context(tls: Tls) -> ssl.SSLContext | None:
    """The context for TCP, None without TLS. Raises ``ListenError`` for unusable files."""
    if not (tls.on or tls.verify):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.verify:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ListenError(
            f"TLS: can't load {tls.certificate}, {tls.key}"
            f"{f' and {tls.ca}' if tls.verify else ''}: {error}"
        ) from error
    return context


def _unix(host: str, address: str, group: str) -> Listener:
    path = Path(address)
    if not path.is_absolute():
        raise ListenError(f"{host}: the path of a unix socket is absolute")
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(host, path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ListenError(f"{host}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    try:
        os.chown(path, 0, _group_id(group))
        os.chmod(path, 0o660)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        path.unlink(missing_ok=True)
        raise ListenError(f"{host}: {error.strerror or error}") from error
    sock.setblocking(False)
    return Listener(host, sock, path=path, inode=path.lstat().st_ino)


def _clear(host: str, path: Path) -> None:
    """Remove the socket that a dead daemon left; refuse if it is anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{host}: {path} exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ETIMEDOUT):
                raise ListenError(f"{host}: {error.strerror or error}") from error
    raise ListenError(f"{host}: another daemon listens there")


def _group_id(group: str) -> int:
    """The group that may use the socket: the one asked for, else Docker's or ours, else root."""
    if group:
        try:
            return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
        except KeyError as error:
            raise ListenError(f"group {group} not found: create it or leave --group out") from error
    for name in GROUPS:
        with contextlib.suppress(KeyError):
            return grp.getgrnam(name).gr_gid
    return 0


def _tcp(host: str, address: str, context: ssl.SSLContext | None) -> list[Listener]:
    name, port = split_address(host, address, DEFAULT_TLS_PORT if context else DEFAULT_PORT)
    if context is None:
        log.warning(
            "the API is open on TCP without TLS: whoever reaches it is root on this machine; "
            "use --tlsverify",
            extra={"host": host},
        )
    elif context.verify_mode is not ssl.CERT_REQUIRED and not _is_loopback(name):
        log.warning(
            "the API on TCP takes any client: use --tlsverify with --tlscacert",
            extra={"host": host},
        )
    try:
        found = socket.getaddrinfo(
            name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ListenError(f"{host}: {error.strerror or error}") from error
    listeners: list[Listener] = []
    for family, kind, protocol, _, target in dict.fromkeys(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(target)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            for listener in listeners:
                listener.sock.close()
            raise ListenError(f"{host}: {error.strerror or error}") from error
        sock.setblocking(False)
        listeners.append(Listener(host, sock, tls=context))
    return listeners


def split_address(host: str, address: str, default_port: int) -> tuple[str, int]:
    """``[::1]:2376`` → ("::1", 2376). Raises ``ListenError``."""
    if "/" in address:
        raise ListenError(f"{host}: a TCP address has no path")
    if address.startswith("["):
        name, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ListenError(f"{host}: not an address")
        port_text = rest.removeprefix(":")
    else:
        name, _, port_text = address.rpartition(":") if ":" in address else (address, "", "")
    if port_text and not (port_text.isdigit() and int(port_text) <= 65535):
        raise ListenError(f"{host}: {port_text!r} is not a port")
    return name, int(port_text) if port_text else default_port


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def passed_sockets(which: str, environment: Mapping[str, str]) -> list[socket.socket]:
    """Sockets passed by systemd, see sd_listen_fds(3): all, or those of a number or a name."""
    pid, count = environment.get("LISTEN_PID", ""), environment.get("LISTEN_FDS", "")
    if not count.isdigit() or int(count) == 0 or (pid and pid != str(os.getpid())):
        raise ListenError(f"fd://{which}: no sockets were passed: start the systemd socket unit")
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    numbers = range(FIRST_PASSED_FD, FIRST_PASSED_FD + int(count))
    chosen = [
        number
        for at, number in enumerate(numbers)
        if which in ("", "*", str(number)) or (at < len(names) and names[at] == which)
    ]
    if not chosen:
        raise ListenError(f"fd://{which}: no such socket among those passed: {list(numbers)}")
    sockets = []
    for number in chosen:
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets
