"""Linux capabilities: names, Docker's default set, and what --cap-add/--cap-drop make of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pierhead.errors import InvalidParameter

# capability.h, in the kernel's order: the index is the bit
ALL: Final[tuple[str, ...]] = tuple(
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
        "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER "
        "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
        "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
        "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
        "CHECKPOINT_RESTORE"
    ).split()
)

DEFAULT: Final[tuple[str, ...]] = tuple(
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
        "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
    ).split()
)


def normalize(names: Iterable[str], *, field: str) -> list[str]:
    """Names in full: net_admin → CAP_NET_ADMIN, all → ALL.

    Raises ``InvalidParameter`` for unknown ones.
    """
    result = []
    for given in names:
        name = given.upper()
        if name == "ALL":
            result.append(name)
            continue
        if not name.startswith("CAP_"):
            name = "CAP_" + name
        if name not in ALL:
            raise InvalidParameter(f'invalid {field}: unknown capability: "{given}"')
        result.append(name)
    return result


def effective(
    add: Iterable[str] = (),
    drop: Iterable[str] = (),
    *,
    privileged: bool = False,
    available: Iterable[str] | None = None,
) -> list[str]:
    """The capabilities of a container (Docker's ``TweakCapabilities``).

    ``available``: what we may give (``linux.limits.capabilities``); the others are left out.
    """
    adds = normalize(add, field="CapAdd")
    drops = normalize(drop, field="CapDrop")
    givable = set(ALL if available is None else available)
    everything = [name for name in ALL if name in givable]
    if privileged:
        return everything
    if "ALL" in adds:
        return [name for name in everything if name not in drops]
    base = [] if "ALL" in drops else [name for name in DEFAULT if name not in drops]
    result = dict.fromkeys([*base, *adds])
    return [name for name in result if name in givable]
