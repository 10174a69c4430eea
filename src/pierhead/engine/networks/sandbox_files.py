"""Writes hosts, hostname and resolv.conf into a container's directory.

Always in place: the files are bind-mounted into the running container, which would keep
a replaced file's old inode.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pierhead.engine.networks.names import ResolvConf, parse_resolv_conf

HOST_RESOLV_CONF: Final = Path("/etc/resolv.conf")
# Where systemd-resolved keeps the real resolvers while /etc/resolv.conf names its stub.
RESOLVED_RESOLV_CONF: Final = Path("/run/systemd/resolve/resolv.conf")
HOST_HOSTS: Final = Path("/etc/hosts")


def hosts_path(directory: Path) -> Path:
    return directory / "hosts"


def hostname_path(directory: Path) -> Path:
    return directory / "hostname"


def resolv_conf_path(directory: Path) -> Path:
    return directory / "resolv.conf"


_known: dict[Path, tuple[tuple[int, int, int], ResolvConf]] = {}


def host_resolv_conf() -> ResolvConf:
    """The host's resolvers, those behind systemd-resolved's stub where it is in use."""
    own = _resolv_conf(HOST_RESOLV_CONF)
    if own.nameservers == ("127.0.0.53",):
        behind = _resolv_conf(RESOLVED_RESOLV_CONF)
        if behind.nameservers:
            return behind
    return own


def _resolv_conf(path: Path) -> ResolvConf:
    """Parsed, and remembered until the file changes."""
    try:
        info = os.stat(path)
    except OSError:
        return ResolvConf()
    key = (info.st_ino, info.st_mtime_ns, info.st_size)
    known = _known.get(path)
    if known is None or known[0] != key:
        known = _known[path] = (key, parse_resolv_conf(_read(path)))
    return known[1]


def host_hosts() -> str:
    return _read(HOST_HOSTS) or "127.0.0.1\tlocalhost\n"


def write(path: Path, text: str) -> None:
    """Replace the content, keep the inode; makes the directory if it isn't there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o710, parents=True, exist_ok=True)
        fd = os.open(path, flags, 0o644)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
