"""``--user`` and ``--group-add``: names and ids looked up in the container's own files.

The texts of /etc/passwd and /etc/group come from ``read_account_files``, which opens them
inside the root file system only (a symlink can't lead out). The rest is pure. Rules as
Docker's: ``user``, ``uid``, ``user:group``, ``uid:gid``; a number needs no entry; without a
group the entry's own and its supplementary ones are taken, group 0 if there is no entry.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pierhead.errors import InvalidParameter
from pierhead.linux.paths import resolve_in_root

MAX_FILE_BYTES: Final = 1024 * 1024
_MAX_ID: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ExecUser:
    """Whom a process runs as."""

    uid: int = 0
    gid: int = 0
    supplementary: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class Passwd:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    gid: int
    members: tuple[str, ...] = field(default=())


def read_account_files(rootfs: Path) -> tuple[str, str]:
    """The texts of /etc/passwd and /etc/group, ``""`` for one that is not there.

    Blocking, microseconds. Only regular files, at most ``MAX_FILE_BYTES`` each.
    """
    try:
        root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return "", ""
    try:
        return _read(root_fd, "/etc/passwd"), _read(root_fd, "/etc/group")
    finally:
        os.close(root_fd)


def _read(root_fd: int, path: str) -> str:
    try:
        # A device or fifo planted there must not even be opened: that alone can do things.
        found = resolve_in_root(root_fd, path, flags=os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return ""
        with open(f"/proc/self/fd/{found}", "rb", buffering=0) as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(found)


def parse_passwd(text: str) -> list[Passwd]:
    """passwd(5); broken lines are skipped."""
    found = []
    for line in text.splitlines():
        parts = line.strip().split(":")
        if len(parts) < 4 or not parts[2].isdigit() or not parts[3].isdigit():
            continue
        home = parts[5] if len(parts) > 5 else ""
        found.append(Passwd(parts[0], int(parts[2]), int(parts[3]), home))
    return found


def parse_group(text: str) -> list[Group]:
    """group(5); broken lines are skipped."""
    found = []
    for line in text.splitlines():
        parts = line.strip().split(":")
        if len(parts) < 3 or not parts[2].isdigit():
            continue
        members = tuple(filter(None, parts[3].split(","))) if len(parts) > 3 else ()
        found.append(Group(parts[0], int(parts[2]), members))
    return found


def _as_id(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    if number > _MAX_ID:
        raise InvalidParameter(f"uids and gids must be in range 0-{_MAX_ID}")
    return number


def lookup_user(
    user: str, passwd_text: str, group_text: str, extra_groups: list[str] | None = None
) -> ExecUser:
    """Resolve ``user`` and ``--group-add``.

    Raises ``InvalidParameter`` with Docker's words for names that the files don't have.
    """
    user_part, _, group_part = user.partition(":")
    groups = parse_group(group_text)
    uid, gid, home, name = 0, 0, "/", ""
    entry: Passwd | None = None
    wanted_uid = _as_id(user_part) if user_part else 0
    for candidate in parse_passwd(passwd_text):
        # A name wins over a number that looks the same, as in Docker.
        if candidate.name == user_part or (wanted_uid is not None and candidate.uid == wanted_uid):
            entry = candidate
            break
    if entry is not None:
        uid, gid, home, name = entry.uid, entry.gid, entry.home or "/", entry.name
    elif wanted_uid is not None:
        uid = wanted_uid
    else:
        raise InvalidParameter(
            f"unable to find user {user_part}: no matching entries in passwd file"
        )
    supplementary: list[int] = []
    if group_part:
        gid = _find_group(group_part, groups)
    elif name:
        supplementary = [g.gid for g in groups if name in g.members and g.gid != gid]
    for extra in extra_groups or ():
        number = _find_group(extra, groups)
        if number not in supplementary:
            supplementary.append(number)
    return ExecUser(uid, gid, tuple(supplementary), home)


def _find_group(text: str, groups: list[Group]) -> int:
    for group in groups:
        if group.name == text:
            return group.gid
    number = _as_id(text)
    if number is None:
        raise InvalidParameter(f"unable to find group {text}: no matching entries in group file")
    return number
