"""Workers that run ``git``: as nobody, on a read-only machine but for one directory.

The worker makes everything read-only in its own mount namespace, binds its directory over
/tmp, where nobody may go, gives up all privileges and becomes the init of its own PID
namespace: when it is killed, git and what git started end with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import traceback
from typing import Any, Final, NoReturn

from pierhead.build.files import giturl
from pierhead.build.files.entries import EMPTY, Entry, encode
from pierhead.errors import Internal, InvalidParameter, NotFound, PierError, Unavailable
from pierhead.linux import syscalls as sc

NOBODY: Final = 65534
PLACE: Final = "/tmp"
"""Where our directory is bound, for us alone."""
WORK: Final = "/tmp/work"
_OUTPUT_LIMIT: Final = 1 << 20
_CHUNK: Final = 1 << 20

_FETCH: Final = ("--quiet", "--force")
_QUIET: Final = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.file.allow=never",
    "protocol.ext.allow=never", "advice.detachedHead=false", "init.defaultBranch=master",
    "gc.auto=0", "core.symlinks=true", "core.autocrlf=false",
)  # fmt: skip


def resolve(
    *, directory: str, remote: str, ref: str, env: dict[str, str], config: list[str]
) -> Any:
    """Which commit ``ref`` is. Returns ``[full ref, object id, commit id of a tag]``.

    ``directory`` is ours to write. ``NotFound``, ``Unavailable``.
    """

    def work() -> Any:
        git = _Git(env, config, remote)
        output = git.run("ls-remote", "--", remote, ref or "HEAD", f"{ref or 'HEAD'}^{{}}")
        found = giturl.pick(output, ref or "HEAD")
        if not found[0]:
            raise NotFound(f"repository does not contain ref {ref or 'HEAD'}")
        return found

    return _confined(directory, work)


def checkout(
    *,
    directory: str,
    remote: str,
    ref: str,
    commit: str,
    subdir: str,
    keep_git_dir: bool,
    submodules: bool,
    env: dict[str, str],
    config: list[str],
    pack_fd: int,
    index_fd: int,
    pack: int,
    limit_bytes: int,
) -> Any:
    """Check ``commit`` (of ``ref``, "" if only the commit is known) out and pack it.

    Contents go to ``pack_fd``, the encoded entries to ``index_fd``; owners are root, times the
    commit's. Returns ``commit`` (of a tag: what it points at) and ``time_s``.
    """

    def work() -> Any:
        git = _Git(env, config, remote)
        git.run("init", "--quiet", ".", object_format=len(commit) == 64)
        git.run("config", "remote.origin.url", giturl.shown(remote))
        git.run("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        target = _fetch(git, remote, ref, commit)
        git.run("checkout", "--quiet", "--force", "--detach", target)
        if submodules and os.path.lexists(".gitmodules"):
            git.run("submodule", "update", "--quiet", "--init", "--recursive", "--depth=1")
        head = git.run("rev-parse", "HEAD").strip()
        time_s = int(git.run("log", "-1", "--format=%ct").strip() or "0")
        top = _inside(subdir)
        packer = _Packer(pack_fd, pack, time_s, limit_bytes)
        entries = packer.take(top, skip=() if keep_git_dir else (".git",))
        data = memoryview(encode(entries))
        while data:
            data = data[os.write(index_fd, data) :]
        return {"commit": head, "time_s": time_s}

    return _confined(directory, work)


def _fetch(git: _Git, remote: str, ref: str, commit: str) -> str:
    """Bring ``commit`` in; what to check out then."""
    if ref:
        refspec = f"+{ref}:{_local(ref)}"
        try:
            git.run("fetch", *_FETCH, "--depth=1", "--no-tags", "--", remote, refspec)
        except PierError as error:
            if "shallow" not in error.message:
                raise
            git.run("fetch", *_FETCH, "--no-tags", "--", remote, refspec)  # a web server's files
        found = git.run("rev-parse", "FETCH_HEAD").strip()
        if found != commit:
            raise Unavailable(f"{ref} moved from {commit} to {found} meanwhile: try again")
        return "FETCH_HEAD"
    try:
        git.run("fetch", *_FETCH, "--depth=1", "--no-tags", "--", remote, commit)
    except PierError:  # not every server gives commits that no ref names
        git.run("fetch", *_FETCH, "--tags", "--", remote, "+refs/heads/*:refs/remotes/origin/*")
    return commit


def _local(ref: str) -> str:
    return "refs/remotes/origin/HEAD" if ref == "HEAD" else ref


def _inside(subdir: str) -> str:
    """The directory that is meant; no link leads out of the checkout."""
    top = os.path.realpath(os.path.join(WORK, subdir))
    if top != WORK and not top.startswith(WORK + "/"):
        raise InvalidParameter(f"invalid subdir {subdir}: it leads out of the repository")
    if not os.path.isdir(top):
        raise NotFound(f"subdir {subdir} is not in the repository")
    return top


class _Git:
    def __init__(self, env: dict[str, str], config: list[str], remote: str) -> None:
        self._remote = remote
        self._env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/lib/git-core",
            "HOME": PLACE,
            "TMPDIR": PLACE,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": ":".join(giturl.PROTOCOLS),
            "GIT_SSH_COMMAND": (
                "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new "
                "-o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null"
            ),
        } | env
        # in the environment, not in argv: one of them may be a token
        settings = [*(setting.partition("=") for setting in _QUIET)]
        pairs = [(key, value) for key, _, value in settings]
        pairs += [(key, value) for key, _, value in (line.partition("\n") for line in config)]
        self._env["GIT_CONFIG_COUNT"] = str(len(pairs))
        for number, (key, value) in enumerate(pairs):
            self._env[f"GIT_CONFIG_KEY_{number}"] = key
            self._env[f"GIT_CONFIG_VALUE_{number}"] = value

    def run(self, *args: str, object_format: bool = False) -> str:
        """What git says on stdout. ``Unavailable`` with what it says on stderr."""
        argv = ["git", *args]
        if object_format:
            argv.insert(2, "--object-format=sha256")
        out, err = os.memfd_create("out"), os.memfd_create("err")
        null = os.open("/dev/null", os.O_RDONLY)
        try:
            try:
                pid = os.posix_spawnp(
                    "git",
                    argv,
                    self._env,
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, null, 0),
                        (os.POSIX_SPAWN_DUP2, out, 1),
                        (os.POSIX_SPAWN_DUP2, err, 2),
                    ],
                )
            except FileNotFoundError:
                raise Unavailable("git is not installed on this machine: install it") from None
            status = -1
            while True:  # we are init here: others' orphans come to us as well
                ended, code = os.waitpid(-1, 0)
                if ended == pid:
                    status = os.waitstatus_to_exitcode(code)
                    break
            if status:
                said = os.pread(err, 4000, 0).decode("utf-8", "replace").strip()
                said = said.replace(self._remote, giturl.shown(self._remote))
                raise Unavailable(f"git {args[0]} failed: {said or f'exit status {status}'}")
            return os.pread(out, _OUTPUT_LIMIT, 0).decode("utf-8", "replace")
        finally:
            for fd in (out, err, null):
                os.close(fd)


class _Packer:
    """Puts the files of a checkout one behind the other."""

    def __init__(self, fd: int, pack: int, time_s: int, limit: int) -> None:
        self._fd = fd
        self._pack = pack
        self._time_ns = time_s * 1_000_000_000
        self._limit = limit
        self._end = 0
        self._entries: list[Entry] = []

    def take(self, top: str, skip: tuple[str, ...]) -> list[Entry]:
        base = os.fsencode(top)
        for above, names, files in os.walk(base):
            names[:] = sorted(name for name in names if os.fsdecode(name) not in skip)
            for name in sorted([*names, *files]):
                if os.fsdecode(name) in skip:
                    continue
                path = os.path.join(above, name)
                self._entry(path, os.path.relpath(path, base))
        return self._entries

    def _entry(self, path: bytes, name: bytes) -> None:
        info = os.lstat(path)
        entry = Entry(name, info.st_mode, mtime_ns=self._time_ns)
        if stat.S_ISLNK(info.st_mode):
            entry.link = os.readlink(path)
        elif stat.S_ISREG(info.st_mode):
            entry.size, entry.digest = self._content(path)
            entry.pack, entry.offset = self._pack, self._end - entry.size
        elif not stat.S_ISDIR(info.st_mode):
            return
        self._entries.append(entry)

    def _content(self, path: bytes) -> tuple[int, bytes]:
        hasher = hashlib.sha256()
        size = 0
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            while chunk := os.read(fd, _CHUNK):
                size += len(chunk)
                if self._end + len(chunk) > self._limit:
                    raise InvalidParameter("the repository is more than the disk can take")
                hasher.update(chunk)
                view = memoryview(chunk)
                while view:
                    count = os.pwrite(self._fd, view, self._end)
                    self._end += count
                    view = view[count:]
        finally:
            os.close(fd)
        return size, hasher.digest() if size else EMPTY


# Confinement


def _confined(directory: str, work: Any) -> Any:
    """Run ``work`` in a child that can write to ``directory`` only; what it returns or raises."""
    sc.unshare(sc.CLONE_NEWNS | sc.CLONE_NEWPID)
    sc.mount(None, "/", None, sc.MS_REC | sc.MS_PRIVATE)
    result = os.memfd_create("git")
    pid = os.fork()
    if pid == 0:
        _child(directory, work, result)
    _, code = os.waitpid(pid, 0)
    raw = os.pread(result, os.fstat(result).st_size, 0)
    os.close(result)
    if not raw:
        raise Internal(f"running git ended with status {os.waitstatus_to_exitcode(code)}")
    reply = json.loads(raw)
    if "result" in reply:
        return reply["result"]
    for error in (InvalidParameter, NotFound, Unavailable, Internal):
        if error.kind == reply["kind"]:
            raise error(reply["message"])
    raise Internal(reply["message"])


def _child(directory: str, work: Any, result: int) -> NoReturn:
    try:
        try:
            _give_up_rights(directory)
            reply = {"result": work()}
        except PierError as error:
            reply = {"kind": error.kind, "message": error.message}
        except BaseException:
            reply = {"kind": "internal", "message": traceback.format_exc()[-2000:]}
        os.write(result, json.dumps(reply).encode())
    finally:
        os._exit(0)


def _give_up_rights(directory: str) -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    sc.mount_setattr(root, set_flags=sc.MOUNT_ATTR_RDONLY, recursive=True)
    os.close(root)
    sc.mount(directory, PLACE, None, sc.MS_BIND)
    bound = os.open(PLACE, os.O_PATH | os.O_DIRECTORY)
    sc.mount_setattr(bound, clear_flags=sc.MOUNT_ATTR_RDONLY)
    os.close(bound)
    os.chdir(PLACE)
    os.umask(0o022)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
    sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.makedirs(WORK, exist_ok=True)
    os.chdir(WORK)
