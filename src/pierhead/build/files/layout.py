"""Where copied files go in the image, and with which owners and modes. No IO but the base's.

A ``Layout`` gathers what the parts of one COPY or ADD give; ``members`` are then the
layer's, sorted, parents first. Rules are BuildKit's (fsutil's ``copy``): directories
merge, symlinks in the destination are followed inside the image, those in what is copied
are not; what isn't there is made with mode 755.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from typing import Final, NamedTuple

from pierhead.build.files.collect import Part
from pierhead.build.files.entries import Entry, shown
from pierhead.build.files.modes import Chmod
from pierhead.build.files.tree import FileTree, join, resolve
from pierhead.errors import InvalidParameter

_WHITEOUT: Final = b".wh."


class Member(NamedTuple):
    """A member of the layer. ``entry`` says where content is, as the source ``origin`` has it."""

    path: bytes
    entry: Entry
    origin: int


class Layout:
    """See the module's docstring. ``base`` ``None``: unknown (``--link``)."""

    def __init__(
        self,
        base: FileTree | None,
        *,
        owner: tuple[int, int] | None = None,
        keep_owner: bool = False,
        chmod: Chmod | None = None,
        epoch_s: int | None = None,
        newest_ns: int = 0,
        classic: bool = False,
    ) -> None:
        """``newest_ns``: what directories that are made get as mtime, if nothing is newer."""
        self._base = base
        self._owner = owner
        self._keep_owner = keep_owner
        self._chmod = chmod
        self._epoch_s = epoch_s
        self._out: dict[bytes, Member] = {}
        self._made: dict[bytes, Entry] = {}
        """Directories that this layer makes on the way to something."""
        self._newest = newest_ns
        self._classic = classic

    # What is there so far, as a tree

    def lstat(self, path: bytes) -> Entry | None:
        """Implements ``FileTree``: the base with this layer on it."""
        member = self._out.get(path)
        if member is not None:
            return member.entry
        if path in self._made:
            return self._made[path]
        if self._base is None:
            return None if path else Entry(b"", stat.S_IFDIR | 0o755)
        return self._base.lstat(path)

    def names(self, path: bytes) -> list[bytes]:
        """Never asked for: nothing is listed to place a file."""
        raise NotImplementedError

    # Placing

    def add(self, part: Part, destination: str, origin: int) -> None:
        """Put a part at ``destination``. ``InvalidParameter`` where it can't be."""
        raw = destination.encode("utf-8", "surrogateescape")
        if raw.endswith((b"/", b"/.")) and not (self._classic and part.is_dir):
            self.mkdir(raw)
        target = resolve(self, raw)
        there = self.lstat(target)
        self._newest = max(self._newest, max((e.mtime_ns for e in part.entries), default=0))
        if part.is_dir:
            if there is not None and not there.is_dir:
                raise InvalidParameter(f"cannot copy to non-directory: {_absolute(target)}")
            if self._classic and target:
                self._make_all(target.rpartition(b"/")[0], owned=False)
            self._make_all(target, last=True)
            for entry in part.entries:
                self._place(join(target, entry.path), entry, origin)
            return
        if there is not None and there.is_dir:
            target = join(target, part.name)
            below = self.lstat(target)
            if below is not None and below.is_dir:
                raise InvalidParameter(f"cannot replace to directory {_absolute(target)} with file")
        self._make_all(target.rpartition(b"/")[0])
        for entry in part.entries:
            self._place(target, entry, origin)

    def add_archive(self, entries: Iterable[Entry], destination: str, origin: int) -> None:
        """Unpack an archive into the directory ``destination``: the archive's own modes."""
        raw = destination.encode("utf-8", "surrogateescape")
        top = self.mkdir(raw, owned=not self._classic)
        places: dict[bytes, bytes] = {b"": top}
        for entry in entries:
            if not entry.path:
                continue  # Docker leaves the directory itself alone
            above, _, name = entry.path.rpartition(b"/")
            place = places.get(above)
            if place is None:
                place = self.mkdir(join(top, above), owned=False)
                places[above] = place
            self._newest = max(self._newest, entry.mtime_ns)
            path = join(place, name)
            uid, gid = (None if self._classic else self._owner) or (entry.uid, entry.gid)
            self._put(path, _as(entry, entry.mode, uid, gid), origin)

    def mkdir(self, path: bytes, *, owned: bool = True) -> bytes:
        """Make ``path`` and what is missing above it; where it is, links followed."""
        target = resolve(self, path)
        self._make_all(target, owned=owned, last=True)
        return target

    def _make_all(self, path: bytes, *, owned: bool = True, last: bool = False) -> None:
        """``last``: the directory itself is meant, not only on the way to something."""
        there = self.lstat(path)
        if there is not None and not there.is_dir:
            raise InvalidParameter(f"mkdir {_absolute(path)}: not a directory")
        if there is not None:
            return
        self._make_all(path.rpartition(b"/")[0], owned=owned)
        mode = 0o755
        uid, gid = (self._owner if owned else None) or (0, 0)
        above = self.lstat(path.rpartition(b"/")[0])
        if above is not None and above.mode & stat.S_ISGID:  # as mkdir(2) has it
            mode |= stat.S_ISGID
            if self._owner is None and owned and not self._classic:
                gid = above.gid
        made = Entry(path, stat.S_IFDIR | mode, uid, gid)
        self._made[path] = made
        # Without knowing the base nobody can tell what is there already: directories on the
        # way keep what attributes they may have. (BuildKit overwrites them.)
        if self._base is not None or (last and b"/" in path):
            self._put(path, made, -1)

    def _place(self, path: bytes, entry: Entry, origin: int) -> None:
        mode = entry.mode
        if self._classic and entry.is_file and (self._owner or not self._keep_owner):
            # its chown(2) takes these away
            mode &= ~(stat.S_ISUID | (stat.S_ISGID if mode & stat.S_IXGRP else 0))
        if self._chmod is not None:
            mode = self._chmod.apply(mode)
        uid, gid = self._owner or ((entry.uid, entry.gid) if self._keep_owner else (0, 0))
        self._put(path, _as(entry, mode, uid, gid), origin)

    def _put(self, path: bytes, entry: Entry, origin: int) -> None:
        if path.rpartition(b"/")[2].startswith(_WHITEOUT):
            raise InvalidParameter(
                f"{shown(path)} can't be in an image: layers delete files by such names"
            )
        before = self._out.get(path)
        if before is not None and before.entry.is_dir and not entry.is_dir:
            below = path + b"/"
            for other in [each for each in self._out if each.startswith(below)]:
                del self._out[other]
        self._out[path] = Member(path, entry, origin)

    # The layer

    @property
    def is_empty(self) -> bool:
        return not self._out

    def members(self) -> list[Member]:
        """Sorted; with the directories above them, as the base has them."""
        latest = None if self._epoch_s is None else self._epoch_s * 1_000_000_000
        if self._base is not None:
            for path in list(self._out):
                while path:
                    path = path.rpartition(b"/")[0]
                    if path in self._out:
                        break
                    above = self._base.lstat(path)
                    if above is not None and path:
                        self._out[path] = Member(path, above, -1)
        members = []
        for path in sorted(self._out, key=_order):
            member = self._out[path]
            entry = member.entry
            if self._made.get(path) is entry:
                entry.mtime_ns = self._newest
            if latest is not None and entry.mtime_ns > latest:
                entry = entry.moved(entry.path)
                entry.mtime_ns = latest
                member = Member(path, entry, member.origin)
            members.append(member)
        return members


def _order(path: bytes) -> list[bytes]:
    return path.split(b"/")


def _as(entry: Entry, mode: int, uid: int, gid: int) -> Entry:
    changed = entry.moved(entry.path)
    changed.mode, changed.uid, changed.gid = mode, uid, gid
    return changed


def _absolute(path: bytes) -> str:
    return "/" + path.decode("utf-8", "replace")
