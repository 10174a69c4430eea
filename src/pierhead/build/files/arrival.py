"""A client's listing as it comes, against what is known of it. No IO."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import Final

from pierhead.build.files import kept
from pierhead.build.files.entries import EMPTY, Entry, clean, content_xattrs, shown
from pierhead.build.files.model import Transfer
from pierhead.build.model import FileStat
from pierhead.errors import InvalidParameter

ENTRIES_LIMIT: Final = 1_000_000


class Arrival:
    """``known``: files by path, as ``kept.Known`` has them."""

    def __init__(self, known: Mapping[bytes, Entry]) -> None:
        self._known = known
        self.entries: dict[bytes, Entry] = {}
        self.missing: list[Entry] = []
        self.missing_bytes = 0
        self.changed: set[bytes] = set()
        """Files that changed while they were read: not to be known by their stat."""
        self.transfer = Transfer()
        self._links: list[tuple[Entry, bytes]] = []
        """Further names of files, and the first names."""
        self._inodes = 0

    def add(self, file: FileStat) -> None:
        kind = stat.S_IFMT(file.mode)
        if kind == stat.S_IFSOCK:
            self.transfer.ignored += 1
            return
        path = clean(file.path)
        entry = Entry(
            path, file.mode, file.uid, file.gid, 0, file.mtime_ns, b"", device=file.device
        )
        if file.xattrs:
            entry.xattrs = content_xattrs(
                {key.encode("utf-8", "surrogateescape"): v for key, v in file.xattrs.items()}
            )
        self.transfer.files_listed += 1
        self.entries[path] = entry
        if len(self.entries) > ENTRIES_LIMIT:
            raise InvalidParameter(f"invalid context: more than {ENTRIES_LIMIT} files are in it")
        if kind == stat.S_IFLNK:
            entry.link = file.link
        elif kind == stat.S_IFREG:
            if file.size < 0:
                raise InvalidParameter(f"invalid context: {shown(path)} has a negative size")
            entry.size = file.size
            if file.link:
                self._links.append((entry, clean(file.link)))
            else:
                self._regular(entry)

    def _regular(self, entry: Entry) -> None:
        before = self._known.get(entry.path)
        if not entry.size:
            entry.digest = EMPTY
        elif before is not None and kept.same(before, entry):
            entry.digest, entry.pack, entry.offset = before.digest, before.pack, before.offset
        else:
            self.missing.append(entry)
            self.missing_bytes += entry.size

    def link(self) -> None:
        """All is listed: names of one file have one content.

        Where the first name isn't among what is wanted the next one is a file of its own.
        """
        links, self._links = self._links, []
        for entry, name in links:
            target = self.entries.get(name)
            if target is None:
                self._regular(entry)
                self.entries[name] = entry  # for further names; taken out below
                continue
            if not target.is_file:
                raise InvalidParameter(
                    f"invalid context: {shown(entry.path)} is a hard link to {shown(name)}, "
                    "which is no file"
                )
            if not target.inode:
                self._inodes += 1
                target.inode = self._inodes
            entry.inode = target.inode
            self._links.append((entry, target.path))
        for _, name in links:
            if name in self.entries and self.entries[name].path != name:
                del self.entries[name]
        self.settle()

    def settle(self) -> None:
        """Hard links have what they link to."""
        for entry, name in self._links:
            target = self.entries[name]
            entry.size, entry.digest = target.size, target.digest
            entry.pack, entry.offset = target.pack, target.offset

    def lost(self, number: int) -> None:
        """A segment is gone: its files are asked for again."""
        linked = {entry.path for entry, _ in self._links}
        for entry in self.entries.values():
            if entry.is_file and entry.pack == number:
                entry.digest, entry.pack, entry.offset = b"", -1, 0
                if entry.path not in linked:
                    self.missing.append(entry)
                    self.missing_bytes += entry.size

    def gone(self) -> bool:
        """Whether files are known that aren't there any more."""
        return any(path not in self.entries for path in self._known)

    def reusable(self) -> list[Entry]:
        """Files whose content is known by their stat from now on."""
        linked = {entry.path for entry, _ in self._links}
        return [
            entry
            for entry in self.entries.values()
            if entry.is_file
            and entry.digest
            and entry.size
            and entry.path not in self.changed
            and entry.path not in linked
        ]
