"""A walk through a local source: what is wanted of it, as entries of a listing.

Owners aren't told: as with BuildKit, files of a context belong to root. Sockets are left
out. Directories above what is wanted come along.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Protocol

    class Matcher(Protocol):
        """What is used of ``build.dockerfile.ignore.Patterns``."""

        def matches(self, path: str) -> bool: ...
        def may_match_below(self, directory: str) -> bool: ...
        def may_spare_below(self, directory: str) -> bool: ...


_EVERYTHING = "**"
_KIND = 0o170000
_DIRECTORY = 0o040000
_LINK = 0o120000
_REGULAR = 0o100000
_SOCKET = 0o140000
_DEVICES = (0o020000, 0o060000)


def matcher(patterns: Sequence[str]) -> Matcher | None:
    """The patterns compiled; ``None`` if there are none."""
    if not patterns:
        return None
    from pierhead.build.dockerfile.ignore import Patterns

    return Patterns(patterns)


def walk(
    root: str, include: Sequence[str] = (), exclude: Sequence[str] = (), follow: Sequence[str] = ()
) -> Iterator[list[Any]]:
    """Entries as ``build_wire`` packs them. Raises ``OSError`` with the path.

    ``follow`` are paths that are wanted with whatever their symlinks lead to.
    """
    wanted = [*include, *followed(root, follow)] if follow else list(include)
    if _EVERYTHING in wanted and not any(pattern[:1] == "!" for pattern in wanted):
        wanted = []
    yield from _Walk(root).directory("", matcher(wanted), matcher(exclude))


class _Walk:
    __slots__ = ("inodes", "pending", "root")

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        #: Inodes with several names -> the first of them in the listing.
        self.inodes: dict[tuple[int, int], str] = {}
        #: Directories that were entered and aren't in the listing yet.
        self.pending: list[list[Any]] = []

    def directory(
        self, below: str, include: Matcher | None, exclude: Matcher | None
    ) -> Iterator[list[Any]]:
        """Everything wanted below ``below``, "" or ending in "/".

        ``None`` for a matcher that has no say there: no file needs to be asked about.
        """
        with posix.scandir(f"{self.root}/{below}") as found:
            names = sorted((entry.name, entry) for entry in found)
        for name, entry in names:
            path = below + name
            info = entry.stat(follow_symlinks=False)
            mode = info.st_mode
            kind = mode & _KIND
            skipped = exclude is not None and exclude.matches(path)
            if kind == _DIRECTORY:
                made = [path, mode, 0, info.st_mtime_ns]
                yield from self._enter(made, include, exclude, skipped)
                continue
            if skipped or kind == _SOCKET:
                continue
            if include is not None and not include.matches(path):
                continue
            if self.pending:
                yield from self.pending
                self.pending = []
            if kind == _REGULAR:
                if info.st_nlink > 1:
                    first = self.inodes.setdefault((info.st_dev, info.st_ino), path)
                    if first != path:
                        yield [path, mode, info.st_size, info.st_mtime_ns, 0, 0, first, 1]
                        continue
                if mode & 0o111 and (capability := _capability(self.root + "/" + path)):
                    yield [
                        *(path, mode, info.st_size, info.st_mtime_ns, 0, 0, "", 0, 0, 0),
                        {"security.capability": capability},
                    ]
                else:
                    yield [path, mode, info.st_size, info.st_mtime_ns]
            elif kind == _LINK:
                target = posix.readlink(f"{self.root}/{path}")
                yield [path, mode, 0, info.st_mtime_ns, 0, 0, target]
            elif kind in _DEVICES:
                device = info.st_rdev
                numbers = (posix.major(device), posix.minor(device))
                yield [path, mode, 0, info.st_mtime_ns, 0, 0, "", 0, *numbers]
            else:
                yield [path, mode, 0, info.st_mtime_ns]

    def _enter(
        self,
        entry: list[Any],
        include: Matcher | None,
        exclude: Matcher | None,
        skipped: bool,
    ) -> Iterator[list[Any]]:
        path = entry[0]
        if exclude is not None:
            if skipped and not exclude.may_spare_below(path):
                return
            if not skipped and not exclude.may_match_below(path):
                exclude = None
        wanted = True
        if include is not None:
            wanted = include.matches(path)
            if not wanted and not include.may_match_below(path):
                return
            if wanted and not include.may_spare_below(path):
                include = None
        if wanted and not skipped:
            yield from self.pending
            self.pending = []
            yield entry
            yield from self.directory(path + "/", include, exclude)
            return
        self.pending.append(entry)
        yield from self.directory(path + "/", include, exclude)
        if self.pending and self.pending[-1] is entry:
            self.pending.pop()


def _capability(path: str) -> str:
    """File capabilities in base64, or ""."""
    try:
        value = posix.getxattr(path, "security.capability", follow_symlinks=False)
    except OSError:
        return ""
    from binascii import b2a_base64

    return b2a_base64(value, newline=False).decode()


def followed(root: str, paths: Sequence[str]) -> list[str]:
    """``paths`` (they may have globs), and every symlink and target on the way to them.

    Links are followed within ``root``; what leads out ends there.
    """
    found: dict[str, None] = {}
    for path in paths:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        _follow(root.rstrip("/"), "", parts, found, 255)
    return list(found)


def _follow(root: str, base: str, parts: list[str], found: dict[str, None], left: int) -> None:
    """Go on from ``base`` (relative, "" is the root) through ``parts``."""
    if not parts:
        found[base or _EVERYTHING] = None
        return
    name, rest = parts[0], parts[1:]
    if any(char in name for char in "*?["):
        found["/".join([*filter(None, [base]), *parts])] = None
        pattern = matcher([name])
        try:
            with posix.scandir(f"{root}/{base}") as entries:
                names = sorted(entry.name for entry in entries if entry.is_symlink())
        except OSError:
            return
        for one in names:
            if pattern is not None and pattern.matches(one):
                _follow(root, base, [one, *rest], found, left - 1)
        return
    if name == "..":
        _follow(root, base.rpartition("/")[0], rest, found, left)
        return
    path = f"{base}/{name}" if base else name
    try:
        target = posix.readlink(f"{root}/{path}")
    except OSError:
        _follow(root, path, rest, found, left)
        return
    found[path] = None
    if left <= 0:
        return
    steps = [part for part in target.split("/") if part not in ("", ".")]
    _follow(root, "" if target.startswith("/") else base, [*steps, *rest], found, left - 1)


def content(root: str, path: str, chunk_bytes: int) -> Iterator[bytes]:
    """A regular file's bytes. Raises ``OSError``; a symlink is refused at the last part."""
    flags = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK
    fd = posix.open(f"{root.rstrip('/')}/{path}", flags)
    try:
        while data := posix.read(fd, chunk_bytes):
            yield data
    finally:
        posix.close(fd)
