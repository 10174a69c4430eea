"""Writes hosts, hostname and resolv.conf into a container's directory.

Always in place: the files are bind-mounted into the running container, which would keep
a replaced file's old inode.
"""

from __future__ import annotations

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


def host_resolv_conf() -> ResolvConf:
    """The host's resolvers, those behind systemd-resolved's stub where it is in use."""
    own = parse_resolv_conf(_read(HOST_RESOLV_CONF))
    if own.nameservers == ("127.0.0.53",):
        behind = parse_resolv_conf(_read(RESOLVED_RESOLV_CONF))
        if behind.nameservers:
            return behind
    return own


def host_hosts() -> str:
    return _read(HOST_HOSTS) or "127.0.0.1\tlocalhost\n"


def write(path: Path, text: str) -> None:
    """Replace the content, keep the inode."""
    path.write_text(text, encoding="utf-8")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
