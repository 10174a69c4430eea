"""Every child process starts here: ``posix_spawn`` and a pidfd that the loop watches.

fork() of a process of 170 MB costs 7 ms, ``posix_spawn`` 0.75 (a vfork inside). asyncio's
child watchers are not used: with a child subreaper they'd fight over statuses. libc's
function is called directly because Python's lacks the change of directory.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pierhead.linux import syscalls as sc

log = logging.getLogger(__name__)

DEFAULT_ENV: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}

_libc = ctypes.CDLL(None)
_POSIX_SPAWN_SETSIGDEF: Final = 0x04
_POSIX_SPAWN_SETSIGMASK: Final = 0x08
_POSIX_SPAWN_SETSID: Final = 0x80
# Bigger than any libc's posix_spawn_file_actions_t (glibc 80), posix_spawnattr_t (336), sigset_t
_Actions = ctypes.c_byte * 256
_Attributes = ctypes.c_byte * 512
_SignalSet = ctypes.c_byte * 128

_actions_init = _libc.posix_spawn_file_actions_init
_actions_destroy = _libc.posix_spawn_file_actions_destroy
_actions_dup2 = _libc.posix_spawn_file_actions_adddup2
_actions_open = _libc.posix_spawn_file_actions_addopen
_actions_chdir = _libc.posix_spawn_file_actions_addchdir_np
_attributes_init = _libc.posix_spawnattr_init
_attributes_destroy = _libc.posix_spawnattr_destroy
_attributes_flags = _libc.posix_spawnattr_setflags
_attributes_flags.argtypes = [ctypes.c_void_p, ctypes.c_short]
_attributes_default = _libc.posix_spawnattr_setsigdefault
_attributes_mask = _libc.posix_spawnattr_setsigmask
_posix_spawn = _libc.posix_spawn


@dataclass(frozen=True, slots=True)
class Completed:
    """What became of a child. ``returncode`` is negative for a signal, as in ``subprocess``."""

    returncode: int
    stdout: bytes
    stderr: bytes


_awaited: set[int] = set()
"""Children that somebody will reap."""


def awaited(pid: int, yes: bool = True) -> None:
    """Somebody waits for this child (or does no more): ``reap_orphans`` leaves it alone."""
    if yes:
        _awaited.add(pid)
    else:
        _awaited.discard(pid)


def reap_orphans(name: str) -> int:
    """Collect dead children of that name (comm) whom nobody waits for; returns how many.

    As a subreaper we inherit those whose parent is gone. From the loop's thread only.
    """
    count = 0
    try:  # orphans are the main thread's
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            pids = {int(pid) for pid in file.read().split()} - _awaited
    except OSError:
        return 0  # a kernel without that list: the daemon's reaper sweeps later
    for pid in pids:
        with suppress(OSError):
            with open(f"/proc/{pid}/stat", "rb") as file:
                comm, _, rest = file.read().partition(b"(")[2].rpartition(b")")
            if comm == name.encode()[:15] and rest.split()[0] == b"Z":
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
                count += 1
    return count


class Child:
    """A running child; reaped as soon as it ends, whether anybody waits or not."""

    __slots__ = ("_loop", "_status", "pid", "pidfd", "returncode")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        awaited(pid)
        self.pidfd = sc.pidfd_open(pid)
        self.returncode: int | None = None
        self._loop = asyncio.get_running_loop()
        self._status: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self.pidfd, self._ended)

    def _ended(self) -> None:
        self._loop.remove_reader(self.pidfd)
        status = reap(self.pidfd)
        awaited(self.pid, False)
        os.close(self.pidfd)
        self.pidfd = -1
        self.returncode = 255 if status is None else status
        if not self._status.done():
            self._status.set_result(self.returncode)

    async def wait(self) -> int:
        """The exit code, or minus the signal's number. May be called again."""
        return await asyncio.shield(self._status)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; nothing happens when the child is gone already."""
        if self.pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)


@lru_cache(maxsize=64)
def _which(name: str, path: str) -> str:
    found = shutil.which(name, path=path)
    if found is None:
        raise FileNotFoundError(2, "No such program", name)
    return found


def find_program(name: str, path: str = DEFAULT_ENV["PATH"]) -> str | None:
    """The full path of a program, None when it is not installed."""
    try:
        return _which(name, path)
    except FileNotFoundError:
        return None


def _check(error: int, name: str) -> None:
    if error:
        raise OSError(error, os.strerror(error), name)


def spawn_pid(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
    cwd: str | os.PathLike[str] | None = None,
    new_session: bool = False,
) -> int:
    """As ``spawn`` without a loop: the caller reaps the pid."""
    env = DEFAULT_ENV if env is None else env
    program = argv[0]
    if "/" not in program:
        program = _which(program, env.get("PATH", DEFAULT_ENV["PATH"]))
    arguments = (ctypes.c_char_p * (len(argv) + 1))(*[os.fsencode(a) for a in argv], None)
    variables = (ctypes.c_char_p * (len(env) + 1))(
        *[os.fsencode(f"{key}={value}") for key, value in env.items()], None
    )
    actions, attributes, signals = _Actions(), _Attributes(), _SignalSet()
    _actions_init(actions)
    _attributes_init(attributes)
    try:
        for target, fd in ((0, stdin), (1, stdout), (2, stderr)):
            if fd is None:
                flags = os.O_RDONLY if target == 0 else os.O_WRONLY
                _check(_actions_open(actions, target, b"/dev/null", flags, 0), program)
            else:
                _check(_actions_dup2(actions, fd, target), program)
        for fd in pass_fds:
            # onto itself: glibc and musl clear close-on-exec then
            _check(_actions_dup2(actions, fd, fd), program)
        if cwd is not None:
            _check(_actions_chdir(actions, os.fsencode(cwd)), program)
        _attributes_mask(attributes, signals)
        # Python ignores SIGPIPE and SIGXFSZ, glibc two of its own in a spawned child: children
        # get the default for all 64 (sigaddset would refuse glibc's)
        ctypes.memset(signals, 0xFF, 8)
        _attributes_default(attributes, signals)
        _attributes_flags(
            attributes,
            _POSIX_SPAWN_SETSIGDEF
            | _POSIX_SPAWN_SETSIGMASK
            | (_POSIX_SPAWN_SETSID if new_session else 0),
        )
        pid = ctypes.c_int()
        _check(
            _posix_spawn(
                ctypes.byref(pid),
                os.fsencode(program),
                actions,
                attributes,
                arguments,
                variables,
            ),
            program,
        )
    finally:
        _actions_destroy(actions)
        _attributes_destroy(attributes)
    log.debug("started %s", argv[0], extra={"argv": list(argv), "pid": pid.value})
    return pid.value


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
    cwd: str | os.PathLike[str] | None = None,
    new_session: bool = False,
) -> Child:
    """Start ``argv``. Streams not given are /dev/null; ``pass_fds`` keep their numbers.

    ``env`` None: a minimal one (PATH, HOME, LANG). ``argv[0]`` is looked up in PATH. Other
    descriptors are not inherited, for Python opens all close-on-exec. Needs a running loop.
    Raises ``FileNotFoundError`` or ``PermissionError`` naming the program.
    """
    return Child(
        spawn_pid(
            argv,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            cwd=cwd,
            new_session=new_session,
        )
    )


class _Collector:
    """Reads a pipe to the end on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.write_fd, True)
        self.chunks: list[bytes] = []
        loop.add_reader(self.read_fd, self.drain)

    def started(self) -> None:
        os.close(self.write_fd)
        self.write_fd = -1

    def drain(self) -> None:
        """Take what is there now. After the child's end that is all it wrote."""
        while self.read_fd >= 0:
            try:
                data = os.read(self.read_fd, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self.close()
                return
            self.chunks.append(data)

    def close(self) -> None:
        if self.read_fd >= 0:
            self._loop.remove_reader(self.read_fd)
            os.close(self.read_fd)
            self.read_fd = -1
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1


def memory_file(name: str, data: bytes) -> int:
    """A memfd that holds ``data``, positioned at its start."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    timeout_s: float | None = None,
    cwd: str | os.PathLike[str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run to completion, collecting both outputs.

    Raises ``TimeoutError`` after ``timeout_s`` (the child is killed first; so it is when the
    caller is cancelled). Output of grandchildren that outlive the child is not waited for.
    """
    loop = asyncio.get_running_loop()
    stdin = None if input is None else memory_file("stdin", input)
    out, err = _Collector(loop), _Collector(loop)
    child = None
    try:
        child = spawn(
            argv,
            env=env,
            stdin=stdin,
            stdout=out.write_fd,
            stderr=err.write_fd,
            pass_fds=pass_fds,
            cwd=cwd,
        )
        out.started()
        err.started()
        async with asyncio.timeout(timeout_s):
            code = await child.wait()
        out.drain()
        err.drain()
        return Completed(code, b"".join(out.chunks), b"".join(err.chunks))
    finally:
        if child is not None:
            child.kill()
        if stdin is not None:
            os.close(stdin)
        out.close()
        err.close()


def become_subreaper() -> None:
    """Orphans of our children (conmon, crun's init) become ours, so that we see them end."""
    sc.prctl(sc.PR_SET_CHILD_SUBREAPER, 1)


async def wait_pidfd(pidfd: int) -> None:
    """Return when the process has ended. The caller keeps the descriptor and reaps."""
    await _wait_fd(pidfd, asyncio.get_running_loop().add_reader)


async def wait_readable(fd: int) -> None:
    """Return when ``fd`` has data, or an end, to read."""
    await _wait_fd(fd, asyncio.get_running_loop().add_reader)


async def wait_writable(fd: int) -> None:
    await _wait_fd(fd, asyncio.get_running_loop().add_writer)


async def _wait_fd(fd: int, register: Callable[..., object]) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    register(fd, wake)
    try:
        await ready
    finally:
        if register == loop.add_reader:
            loop.remove_reader(fd)
        else:
            loop.remove_writer(fd)


def reap(pidfd: int) -> int | None:
    """Collect the status of an ended child by pidfd; None when it is not (or no more) ours.

    As ``Child.wait``: an exit code, or minus a signal's number.
    """
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def process_start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot: with the pid an identity.

    None when there is no such process, or only its zombie.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # proc(5): the name in parentheses may hold anything; 3 is the state, 22 the time
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def python() -> str:
    """The interpreter for helper processes."""
    return sys.executable or "/usr/bin/python3"
