"""Mounts: overlay, bind, unmount, and what is mounted now.

All calls act on the calling process's mount namespace and are short enough for the
event loop (0.3 ms).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pierhead.linux import syscalls as sc
from pierhead.linux.loop import attach

# Some distributions' kernels have these on: then an upper directory doesn't hold all that was
# changed (renamed directories, files with another mode), and can't be packed as a layer.
_WHOLE = ("redirect_dir", "metacopy")
_CLASSIC_LIMIT = 4096  # mount(2): options take a page, with the NUL
_PROPAGATION = {
    "private": sc.MS_PRIVATE,
    "rprivate": sc.MS_PRIVATE | sc.MS_REC,
    "slave": sc.MS_SLAVE,
    "rslave": sc.MS_SLAVE | sc.MS_REC,
    "shared": sc.MS_SHARED,
    "rshared": sc.MS_SHARED | sc.MS_REC,
}


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of a mount plan: the arguments of mount(2)."""

    source: str
    target: str
    fstype: str
    flags: int = 0
    data: str = ""

    def execute(self) -> None:
        sc.mount(self.source, self.target, self.fstype, self.flags, self.data)


@dataclass(frozen=True, slots=True)
class MountInfo:
    """A line of /proc/<pid>/mountinfo (proc(5))."""

    mount_id: int
    parent_id: int
    device: str  # "major:minor"
    root: str
    target: str
    options: str
    propagation: str  # "shared:1 master:2", "" for private
    fstype: str
    source: str
    super_options: str


def mount_overlay(
    target: Path,
    lower: Sequence[Path],
    upper: Path | None,
    work: Path | None,
    *,
    read_only: bool = False,
    volatile: bool = False,
) -> None:
    """Mount an overlay; ``lower`` is given topmost first. ``upper`` None: lower layers only.

    ``volatile``: nothing is ever written through to the disk for anybody's fsync(2) or at
    the unmount (Linux 5.10; ignored before), for what a crash of the machine may take. The
    same upper directory can be mounted again after ``forget_volatile`` only.

    The new mount API takes one layer a call, so neither the number of layers nor odd
    characters in paths are limited by mount(2)'s one page of comma-separated options; it
    knows ``lowerdir+`` since Linux 6.5. Older kernels get mount(2). Raises ``OSError``
    naming the target.
    """
    mounted = detached_overlay(
        lower, upper, work, read_only=read_only, volatile=volatile, name=str(target)
    )
    if mounted is None:
        _mount_overlay_classic(target, lower, upper, work, read_only, volatile)
        return
    try:
        sc.move_mount(mounted, target)
    finally:
        os.close(mounted)


def detached_overlay(
    lower: Sequence[Path], upper: Path | None = None, work: Path | None = None,
    *, read_only: bool = True, volatile: bool = False, name: str = "overlay",
) -> int | None:  # fmt: skip
    """A descriptor of an overlay mounted nowhere (fsmount(2)); it goes when that is closed.

    ``None`` where the kernel is too old for it (before 6.5). ``OSError`` names ``name``.
    """
    try:
        context = sc.fsopen("overlay")
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        return None
    try:
        try:
            sc.fsconfig(context, sc.FSCONFIG_SET_STRING, "source", "overlay")
            for layer in lower:
                sc.fsconfig(context, sc.FSCONFIG_SET_STRING, "lowerdir+", layer)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return None
        # Layers lie on file systems of their own: inode numbers must be made unique, or those
        # of readdir(3) and stat(2) differ.
        sc.fsconfig(context, sc.FSCONFIG_SET_STRING, "xino", "auto")
        if upper is not None and work is not None:
            sc.fsconfig(context, sc.FSCONFIG_SET_STRING, "upperdir", upper)
            sc.fsconfig(context, sc.FSCONFIG_SET_STRING, "workdir", work)
            for name in _WHOLE:
                sc.fsconfig(context, sc.FSCONFIG_SET_STRING, name, "off")
            if volatile:
                with suppress(OSError):  # a kernel without it is slower, no more
                    sc.fsconfig(context, sc.FSCONFIG_SET_FLAG, "volatile")
        sc.fsconfig(context, sc.FSCONFIG_CMD_CREATE)
        return sc.fsmount(context, sc.MOUNT_ATTR_RDONLY if read_only else 0)
    except OSError as error:
        raise OSError(error.errno, f"overlay: {_reason(context, error)}", name) from error
    finally:
        os.close(context)


def _reason(context: int, error: OSError) -> str:
    """The kernel's own words, which a filesystem context keeps (fsopen(2))."""
    with suppress(OSError):
        return os.read(context, 4096).decode(errors="replace").strip()
    return error.strerror or "failed"


def forget_volatile(work: Path) -> None:
    """Let an overlay's upper directory be mounted again that was mounted ``volatile``.

    The kernel leaves a mark in the work directory, for after a crash it can't be trusted.
    """
    mark = work / "work" / "incompat" / "volatile"
    with suppress(OSError):
        (mark / "dirty").unlink(missing_ok=True)
        mark.rmdir()


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(char for char in minor if char.isdigit()) or 0)


def _mount_overlay_classic(
    target: Path,
    lower: Sequence[Path],
    upper: Path | None,
    work: Path | None,
    read_only: bool,
    volatile: bool = False,
) -> None:
    def escape(path: Path) -> str:
        return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")

    options = "lowerdir=" + ":".join(map(escape, lower))
    rest = ",xino=auto"
    if upper is not None and work is not None:
        rest += f",upperdir={escape(upper)},workdir={escape(work)}"
        rest += "".join(f",{name}=off" for name in _WHOLE)
        if volatile and _kernel() >= (5, 10):
            rest += ",volatile"
    fds: list[int] = []
    try:
        if len(os.fsencode(options + rest)) >= _CLASSIC_LIMIT:
            for layer in lower:  # descriptors' names are shorter
                fds.append(os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            options = "lowerdir=" + ":".join(f"/proc/self/fd/{fd}" for fd in fds)
        sc.mount("overlay", target, "overlay", sc.MS_RDONLY if read_only else 0, options + rest)
    finally:
        for fd in fds:
            os.close(fd)


def detached_image(path: Path, *, loop: bool) -> int:
    """Mount the EROFS image ``path`` read-only, nowhere: a descriptor of it (fsmount(2)).

    The mount goes when the descriptor is closed and no overlay stands on it. Straight from
    the file (Linux 6.12, ``OSError`` ENOTBLK where that can't be done), or through a loop
    device that goes with the mount. ``OSError`` names the file, in the kernel's words.
    """
    context = sc.fsopen("erofs")
    device = -1
    try:
        source: Path | str = path
        if loop:
            image = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                device, source = attach(image)
            finally:
                os.close(image)
        sc.fsconfig(context, sc.FSCONFIG_SET_STRING, "source", source)
        # without it the kernel would want to write to the device
        sc.fsconfig(context, sc.FSCONFIG_SET_FLAG, "ro")
        sc.fsconfig(context, sc.FSCONFIG_CMD_CREATE)
        return sc.fsmount(context, sc.MOUNT_ATTR_RDONLY)
    except OSError as error:
        raise OSError(error.errno, f"erofs: {_reason(context, error)}", str(path)) from error
    finally:
        if device >= 0:
            os.close(device)
        os.close(context)


def bind(
    source: Path | str,
    target: Path | str,
    *,
    recursive: bool = True,
    read_only: bool = False,
    propagation: str = "",
) -> None:
    """Bind ``source`` over ``target`` (both exist).

    ``propagation`` is "" (as inherited), "rprivate", "rslave", "rshared" or without the r.
    """
    sc.mount(source, target, None, sc.MS_BIND | (sc.MS_REC if recursive else 0))
    try:
        if read_only:
            sc.mount(None, target, None, sc.MS_BIND | sc.MS_REMOUNT | sc.MS_RDONLY)
        if propagation:
            sc.mount(None, target, None, _PROPAGATION[propagation])
    except BaseException:
        sc.umount2(target, sc.MNT_DETACH)
        raise


def set_propagation(target: Path | str, propagation: str) -> None:
    sc.mount(None, target, None, _PROPAGATION[propagation])


def mount_tmpfs(target: Path | str, *, options: str = "mode=755", flags: int = 0) -> None:
    sc.mount("tmpfs", target, "tmpfs", flags, options)


def unmount(target: Path | str, *, lazy: bool = False) -> bool:
    """Unmount what is mounted at ``target``, not following a symlink. False: nothing was.

    ``lazy`` detaches at once and lets the kernel clean up when the last user goes.
    """
    try:
        sc.umount2(target, sc.UMOUNT_NOFOLLOW | (sc.MNT_DETACH if lazy else 0))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return False
        raise
    return True


def unmount_below(directory: Path | str) -> int:
    """Detach every mount at or below ``directory``, deepest first; returns how many."""
    prefix = os.path.realpath(directory)
    count = 0
    for entry in reversed(mountinfo()):
        if entry.target == prefix or entry.target.startswith(prefix.rstrip("/") + "/"):
            count += unmount(entry.target, lazy=True)
    return count


def mountinfo(pid: int | str = "self") -> list[MountInfo]:
    """The mounts that a process sees, in mount order."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [parse_mountinfo(line) for line in file]


def parse_mountinfo(line: str) -> MountInfo:
    before, _, after = line.rstrip("\n").partition(" - ")
    fields = before.split(" ")
    fstype, source, super_options = [*after.split(" ", 2), "", ""][:3]
    return MountInfo(
        mount_id=int(fields[0]),
        parent_id=int(fields[1]),
        device=fields[2],
        root=_unescape(fields[3]),
        target=_unescape(fields[4]),
        options=fields[5],
        propagation=" ".join(fields[6:]),
        fstype=fstype,
        source=_unescape(source),
        super_options=super_options,
    )


def _unescape(text: str) -> str:
    """mountinfo writes space, tab, newline and backslash as \\ooo."""
    if "\\" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape")
    parts = raw.split(b"\\")
    out = [parts[0]]
    for part in parts[1:]:
        out.append(bytes([int(part[:3], 8)]) + part[3:])
    return b"".join(out).decode("utf-8", "surrogateescape")


def is_mountpoint(path: Path | str) -> bool:
    """Whether ``path`` itself is a mount point (bind mounts of the same device included)."""
    real = os.path.realpath(path)
    try:
        parent = os.stat(os.path.dirname(real))
        here = os.stat(real)
    except FileNotFoundError:
        return False
    if parent.st_dev != here.st_dev:
        return True
    return any(entry.target == real for entry in mountinfo())
