"""Options of the local volume driver: ``type``, ``o``, ``device``, ``size``. Pure.

A volume with a device is mounted at its directory while a container uses it, by mount(2)
with the flags and data that ``o`` stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.linux import syscalls as sc

_KNOWN: Final = ("type", "o", "device", "size")
_NEEDS: Final = {"device": ("type",), "type": ("device",), "o": ("device", "type")}

# mount(8)'s words: (bit, whether the word sets it)
_FLAGS: Final[dict[str, tuple[int, bool]]] = {
    "defaults": (0, True),
    "ro": (sc.MS_RDONLY, True),
    "rw": (sc.MS_RDONLY, False),
    "nosuid": (sc.MS_NOSUID, True),
    "suid": (sc.MS_NOSUID, False),
    "nodev": (sc.MS_NODEV, True),
    "dev": (sc.MS_NODEV, False),
    "noexec": (sc.MS_NOEXEC, True),
    "exec": (sc.MS_NOEXEC, False),
    "sync": (16, True),
    "async": (16, False),
    "remount": (sc.MS_REMOUNT, True),
    "mand": (64, True),
    "nomand": (64, False),
    "dirsync": (128, True),
    "noatime": (1024, True),
    "atime": (1024, False),
    "nodiratime": (2048, True),
    "diratime": (2048, False),
    "bind": (sc.MS_BIND, True),
    "rbind": (sc.MS_BIND | sc.MS_REC, True),
    "relatime": (1 << 21, True),
    "norelatime": (1 << 21, False),
    "strictatime": (1 << 24, True),
    "nostrictatime": (1 << 24, False),
}


@dataclass(frozen=True, slots=True)
class DeviceMount:
    """Arguments for mount(2)."""

    device: str
    fstype: str
    flags: int
    data: str


def check_options(options: Mapping[str, str]) -> None:
    """Raises ``InvalidParameter`` in Docker's words, ``NotImplementedYet`` for quotas."""
    for option in options:
        if option not in _KNOWN:
            raise InvalidParameter(f'invalid option: "{option}"')
    if "size" in options:
        raise NotImplementedYet(
            "volumes with a size limit are not built yet: leave --opt size out, or use "
            "type=tmpfs, device=tmpfs, o=size=..."
        )
    for option, needed in _NEEDS.items():
        if option in options:
            for other in needed:
                if other not in options:
                    raise InvalidParameter(f'missing required option: "{other}"')


def device_mount(options: Mapping[str, str]) -> DeviceMount | None:
    """What to mount for a volume with these options; None for a plain directory."""
    if not options.get("device"):
        return None
    flags = 0
    data: list[str] = []
    for word in filter(None, options.get("o", "").split(",")):
        known = _FLAGS.get(word)
        if known is None:
            data.append(word)
        elif known[1]:
            flags |= known[0]
        else:
            flags &= ~known[0]
    return DeviceMount(options["device"], options["type"], flags, ",".join(data))
