"""Trees of entries: looked up, resolved and walked, wherever they lie. No IO here.

``FileTree`` is what ``collect`` and ``layout`` read: a ``Tree`` in memory (contexts,
checkouts, downloads), or a ``DiskTree`` on a mounted chain (``disktree.py``). Paths are
bytes without a leading "/"; b"" is the root.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from pierhead.build.files.entries import Entry, shown
from pierhead.errors import InvalidParameter, NotFound

LINKS_LIMIT: Final = 255
"""Symlinks in one path, as Docker's (the kernel's is 40)."""


class FileTree(Protocol):
    def lstat(self, path: bytes) -> Entry | None:
        """What is at ``path``, none of whose directories is a symlink. ``None``: nothing."""
        ...

    def names(self, path: bytes) -> list[bytes]:
        """The names in the directory ``path``, sorted."""
        ...


class Tree:
    """Entries in memory. Directories that nobody listed are there all the same."""

    def __init__(self, entries: Iterable[Entry], what: str = "context") -> None:
        """``InvalidParameter`` if something lies below what is no directory."""
        self._entries: dict[bytes, Entry] = {entry.path: entry for entry in entries}
        self._children: dict[bytes, list[bytes]] | None = None
        self._imply(what)

    def _imply(self, what: str) -> None:
        known = self._entries
        implied: dict[bytes, Entry] = {}
        if b"" not in known:
            implied[b""] = known[b""] = Entry(b"", stat.S_IFDIR | 0o755)
        last = b""
        for path in list(known):
            parent = path.rpartition(b"/")[0]
            if parent == last:
                continue
            last = parent
            while True:
                above = known.get(parent)
                if above is None:
                    implied[parent] = known[parent] = Entry(parent, stat.S_IFDIR | 0o755)
                elif not above.is_dir:
                    raise InvalidParameter(
                        f"invalid {what}: {shown(path)} lies below {shown(parent)}, "
                        "which is no directory"
                    )
                else:
                    break
                parent = parent.rpartition(b"/")[0]
        if implied:
            self._date(implied)

    def _date(self, implied: dict[bytes, Entry]) -> None:
        """What nobody listed is as new as the newest that is in it."""
        for path, entry in self._entries.items():
            if path not in implied:
                while path:
                    path = path.rpartition(b"/")[0]
                    above = implied.get(path)
                    if above is None:
                        break
                    above.mtime_ns = max(above.mtime_ns, entry.mtime_ns)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def lstat(self, path: bytes) -> Entry | None:
        return self._entries.get(path)

    def names(self, path: bytes) -> list[bytes]:
        if self._children is None:
            children: dict[bytes, list[bytes]] = {}
            for each in sorted(self._entries):
                if each:
                    above, _, name = each.rpartition(b"/")
                    children.setdefault(above, []).append(name)
            self._children = children
        return self._children.get(path, [])

    def filtered(self, keep: Iterable[Entry]) -> Tree:
        """Only these entries, with the directories above them as they are here."""
        kept = {entry.path: entry for entry in keep}
        for path in list(kept):
            parent = path
            while parent:
                parent = parent.rpartition(b"/")[0]
                if parent in kept:
                    break
                kept[parent] = self._entries[parent]
        return Tree(kept.values())


def join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def resolve(tree: FileTree, path: bytes, *, follow: bool = True) -> bytes:
    """Where ``path`` leads with all symlinks followed inside the tree, missing or not.

    A final symlink only with ``follow``. Raises ``InvalidParameter`` for too many of them.
    """
    pending = [part for part in path.split(b"/") if part and part != b"."][::-1]
    done: list[bytes] = []
    links = 0
    missing = False
    while pending:
        part = pending.pop()
        if part == b"..":
            if done:
                done.pop()
            missing = False
            continue
        here = b"/".join([*done, part])
        entry = None if missing else tree.lstat(here)
        if entry is None:
            missing = True
        elif entry.is_link and (pending or follow):
            links += 1
            if links > LINKS_LIMIT:
                raise InvalidParameter(f"too many links in {shown(path)}")
            if entry.link.startswith(b"/"):
                done.clear()
            pending += [p for p in entry.link.split(b"/") if p and p != b"."][::-1]
            continue
        done.append(part)
    return b"/".join(done)


def find(tree: FileTree, path: bytes, *, follow: bool = True) -> Entry:
    """The entry at ``path``. ``NotFound`` in BuildKit's words."""
    entry = tree.lstat(resolve(tree, path, follow=follow))
    if entry is None:
        text = path.decode("utf-8", "replace").strip("/")
        raise NotFound(f'"/{text}": not found')
    return entry


def children(tree: FileTree, path: bytes) -> list[Entry]:
    """What is in a directory, sorted by name. ``NotFound``, or ``InvalidParameter``."""
    top = find(tree, path)
    if not top.is_dir:
        raise InvalidParameter(f"{shown(path)}: not a directory")
    found = (tree.lstat(join(top.path, name)) for name in tree.names(top.path))
    return [entry for entry in found if entry is not None]


def walk(tree: FileTree, top: bytes) -> Iterator[Entry]:
    """All below the directory ``top``, parents first, names sorted; without ``top``."""
    stack = [join(top, name) for name in reversed(tree.names(top))]
    while stack:
        path = stack.pop()
        entry = tree.lstat(path)
        if entry is None:
            continue  # gone meanwhile
        yield entry
        if entry.is_dir:
            stack += [join(path, name) for name in reversed(tree.names(path))]
