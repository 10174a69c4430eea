"""Device nodes of the host, for ``--device`` and privileged containers."""

from __future__ import annotations

import os
import stat

from pierhead.errors import InvalidParameter
from pierhead.oci.runtime_spec import Device

# of the host's terminals and kernel sockets, not devices; made anew for the container
_SKIPPED = ("/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/.lxc", "/dev/.lxd-mounts")
_SKIPPED_NODES = ("/dev/console",)


def device(path: str, in_container: str = "", access: str = "rwm") -> list[Device]:
    """The node at ``path``, or every node in the directory ``path``, as the container gets it.

    Symlinks are followed. Raises ``InvalidParameter`` with Docker's text when there is none.
    """
    target = in_container or path
    try:
        real = os.path.realpath(path, strict=True)
        if (node := _node(real, target, access)) is not None:
            return [node]
        if os.path.isdir(real):
            found = [
                device
                for name in _nodes_below(real)
                if (device := _node(name, target + name[len(real) :], access)) is not None
            ]
            if found:
                return found
    except OSError as error:
        reason = "no such file or directory" if error.errno == 2 else error.strerror
        raise InvalidParameter(
            f'error gathering device information while adding custom device "{path}": {reason}'
        ) from error
    raise InvalidParameter(
        f'error gathering device information while adding custom device "{path}": not a device node'
    )


def _node(path: str, target: str, access: str) -> Device | None:
    info = os.lstat(path)
    if stat.S_ISCHR(info.st_mode):
        kind = "c"
    elif stat.S_ISBLK(info.st_mode):
        kind = "b"
    else:
        return None
    return Device(
        path=target,
        type=kind,
        major=os.major(info.st_rdev),
        minor=os.minor(info.st_rdev),
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        access=access,
    )


def _nodes_below(top: str) -> list[str]:
    found = []
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in _SKIPPED]
        found += [os.path.join(folder, name) for name in names]
    return sorted(found)


def host_devices() -> list[Device]:
    """Every node of the host's /dev, for privileged containers."""
    found = []
    for path in _nodes_below("/dev"):
        if path in _SKIPPED_NODES:
            continue
        try:
            node = _node(path, path, "rwm")
        except OSError:
            continue  # unplugged meanwhile
        if node is not None:
            found.append(node)
    return found


def numbers(path: str) -> tuple[int, int]:
    """(major, minor) of a block device, for blkio limits. Raises ``InvalidParameter``."""
    try:
        info = os.stat(path)
    except OSError as error:
        raise InvalidParameter(f"no such device: {path}: {error.strerror}") from error
    if not stat.S_ISBLK(info.st_mode):
        raise InvalidParameter(f"not a block device: {path}")
    return os.major(info.st_rdev), os.minor(info.st_rdev)
