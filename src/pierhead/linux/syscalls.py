"""System calls that Python 3.11 does not wrap: prototypes once, wrappers that raise.

``use_errno`` keeps errno per thread. Wrappers take bytes-able paths and give file
descriptors that are close-on-exec. Numbers not in glibc 2.36's headers are the generic
ones, the same on x86_64 and aarch64 (Linux ``include/uapi/asm-generic/unistd.h``).
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

Path = str | os.PathLike[str]

_libc = ctypes.CDLL(None, use_errno=True)

# mount(2)
MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MS_UNBINDABLE: Final = 1 << 17
MNT_FORCE: Final = 1
MNT_DETACH: Final = 2
UMOUNT_NOFOLLOW: Final = 8

# namespaces
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
_CLONE_PARENT: Final = 0x00008000
_SIGCHLD: Final = 17

# the mount API of Linux 5.2
FSOPEN_CLOEXEC: Final = 1
FSCONFIG_SET_FLAG: Final = 0
FSCONFIG_SET_STRING: Final = 1
FSCONFIG_SET_FD: Final = 5
FSCONFIG_CMD_CREATE: Final = 6
FSMOUNT_CLOEXEC: Final = 1
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
OPEN_TREE_CLONE: Final = 1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000

# openat2
RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

_SYS_OPEN_TREE: Final = 428
_SYS_MOVE_MOUNT: Final = 429
_SYS_FSOPEN: Final = 430
_SYS_FSCONFIG: Final = 431
_SYS_FSMOUNT: Final = 432
_SYS_OPENAT2: Final = 437
_SYS_MOUNT_SETATTR: Final = 442
_SYS_CLONE: Final = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine, 220)
_SYS_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine, 41)

PR_SET_PDEATHSIG: Final = 1
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38

_mount = _libc.mount
_mount.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]
_umount2 = _libc.umount2
_umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_unshare = _libc.unshare
_unshare.argtypes = [ctypes.c_int]
_setns = _libc.setns
_setns.argtypes = [ctypes.c_int, ctypes.c_int]
_prctl = _libc.prctl
_prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
# keeps the interpreter's lock: what forks must hold it on both sides
_locked_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_locked_syscall.restype = ctypes.c_long

_capset = _libc.capset
_capget = _libc.capget

# What laying out a tree of foreign files takes; SYS_ADMIN is for trusted.overlay.* attributes
UNPACK_CAPABILITIES: Final = (0, 1, 2, 3, 4, 21, 27, 31)


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def _fail(*paths: Path | None) -> OSError:
    number = ctypes.get_errno()
    names = [os.fspath(path) for path in paths if path is not None]
    if len(names) > 1:
        return OSError(number, os.strerror(number), names[0], None, names[1])
    return OSError(number, os.strerror(number), *names)


def _c(path: Path | None) -> bytes | None:
    return None if path is None else os.fsencode(path)


def mount(
    source: Path | None, target: Path, fstype: str | None, flags: int, data: str = ""
) -> None:
    """mount(2). ``data`` is limited to a page, see ``mounts.mount_overlay`` for more."""
    if (
        _mount(
            _c(source),
            _c(target),
            fstype.encode() if fstype else None,
            flags,
            data.encode("utf-8", "surrogateescape") if data else None,
        )
        < 0
    ):
        raise _fail(source, target)


def umount2(target: Path, flags: int = 0) -> None:
    if _umount2(_c(target), flags) < 0:
        raise _fail(target)


def unshare(flags: int) -> None:
    """Give the calling *thread* new namespaces; only for helper processes and own threads."""
    if _unshare(flags) < 0:
        raise _fail()


def setns(fd: int, nstype: int = 0) -> None:
    """Move the calling *thread* into a namespace."""
    if _setns(fd, nstype) < 0:
        raise _fail()


def prctl(option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    result = int(_prctl(option, a, b, c, d))
    if result < 0:
        raise _fail()
    return result


def fork_sibling() -> int:
    """fork(2), but the child's parent is ours (clone(2), CLONE_PARENT). 0 in the child.

    Only for a process of one thread: glibc's own fork handlers do not run (they are about
    other threads' locks), the interpreter's do.
    """
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid = int(
        _locked_syscall(
            ctypes.c_long(_SYS_CLONE),
            ctypes.c_ulong(_CLONE_PARENT | _SIGCHLD),
            *[ctypes.c_long(0)] * 4,
        )
    )
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    number = ctypes.get_errno()
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, os.strerror(number))
    return pid


def pivot_root(new_root: Path, put_old: Path) -> None:
    if (
        _syscall(
            ctypes.c_long(_SYS_PIVOT_ROOT),
            ctypes.c_char_p(_c(new_root)),
            ctypes.c_char_p(_c(put_old)),
        )
        < 0
    ):
        raise _fail(new_root, put_old)


def pidfd_open(pid: int) -> int:
    """A close-on-exec descriptor of a process; ``ProcessLookupError`` when it is gone."""
    return os.pidfd_open(pid, 0)


def openat2(dir_fd: int, path: Path, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2); the descriptor is close-on-exec."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    fd = int(
        _syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_long(dir_fd),
            ctypes.c_char_p(_c(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
    )
    if fd < 0:
        raise _fail(path)
    return fd


def fsopen(fstype: str) -> int:
    """A filesystem context (fsopen(2)); ``OSError`` ENOSYS before Linux 5.2."""
    fd = int(
        _syscall(
            ctypes.c_long(_SYS_FSOPEN),
            ctypes.c_char_p(fstype.encode()),
            ctypes.c_ulong(FSOPEN_CLOEXEC),
        )
    )
    if fd < 0:
        raise _fail()
    return fd


def fsconfig(fd: int, command: int, key: str | None = None, value: Path | None = None) -> None:
    if (
        _syscall(
            ctypes.c_long(_SYS_FSCONFIG),
            ctypes.c_long(fd),
            ctypes.c_ulong(command),
            ctypes.c_char_p(key.encode() if key else None),
            ctypes.c_char_p(_c(value)),
            ctypes.c_long(0),
        )
        < 0
    ):
        raise _fail(value)


def fsmount(fd: int, attributes: int = 0) -> int:
    """A detached mount made of a configured context."""
    mount_fd = int(
        _syscall(
            ctypes.c_long(_SYS_FSMOUNT),
            ctypes.c_long(fd),
            ctypes.c_ulong(FSMOUNT_CLOEXEC),
            ctypes.c_ulong(attributes),
        )
    )
    if mount_fd < 0:
        raise _fail()
    return mount_fd


def open_tree(path: Path, flags: int, dir_fd: int = AT_FDCWD) -> int:
    """open_tree(2); with ``OPEN_TREE_CLONE`` a detached bind mount."""
    fd = int(
        _syscall(
            ctypes.c_long(_SYS_OPEN_TREE),
            ctypes.c_long(dir_fd),
            ctypes.c_char_p(_c(path)),
            ctypes.c_ulong(flags | OPEN_TREE_CLOEXEC),
        )
    )
    if fd < 0:
        raise _fail(path)
    return fd


def move_mount(mount_fd: int, target: Path, dir_fd: int = AT_FDCWD) -> None:
    """Attach a detached mount at ``target``."""
    if (
        _syscall(
            ctypes.c_long(_SYS_MOVE_MOUNT),
            ctypes.c_long(mount_fd),
            ctypes.c_char_p(b""),
            ctypes.c_long(dir_fd),
            ctypes.c_char_p(_c(target)),
            ctypes.c_ulong(MOVE_MOUNT_F_EMPTY_PATH),
        )
        < 0
    ):
        raise _fail(target)


def mount_setattr(
    fd: int,
    *,
    set_flags: int = 0,
    clear_flags: int = 0,
    propagation: int = 0,
    recursive: bool = False,
) -> None:
    """mount_setattr(2) on the mount that ``fd`` names (Linux 5.12)."""
    attr = _MountAttr(set_flags, clear_flags, propagation, 0)
    if (
        _syscall(
            ctypes.c_long(_SYS_MOUNT_SETATTR),
            ctypes.c_long(fd),
            ctypes.c_char_p(b""),
            ctypes.c_ulong(AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)),
            ctypes.byref(attr),
            ctypes.c_size_t(ctypes.sizeof(attr)),
        )
        < 0
    ):
        raise _fail()


def keep_capabilities(numbers: tuple[int, ...]) -> None:
    """Give up every capability but these, for good (bounding set too)."""
    for number in range(64):
        if number not in numbers:
            try:
                prctl(PR_CAPBSET_DROP, number)
            except OSError:
                break  # past the kernel's last one
    mask = sum(1 << number for number in numbers) & permitted_capabilities()
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    if _capset(header, data) < 0:
        raise _fail()


def permitted_capabilities() -> int:
    """This process's permitted set as a bit mask (capabilities(7))."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if _capget(header, data) < 0:
        raise _fail()
    return int(data[1]) | int(data[4]) << 32
