"""Layers of entries merged into the tree that a container sees, and what that costs. No IO.

The rules are overlayfs's and the OCI image-spec's (layer.md): a layer's whiteouts count for
the layers below it only, wherever they stand in it; the last of several entries of one name
wins; directories merge, everything else replaces. What a merged tree no longer shows is
wasted: its bytes are stored and transferred for nothing. A hard-linked file is wasted when
the last of its names is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pierhead.engine.images.layer_entries import (
    DIRECTORY,
    ENTRIES_LIMIT,
    FILE,
    HARDLINK,
    SYMLINK,
    Entry,
)
from pierhead.errors import InvalidParameter
from pierhead.oci.layer import META_PREFIX, OPAQUE_MARK, WHITEOUT_PREFIX, show

LINKS_LIMIT: Final = 40

ADDED: Final = "added"
CHANGED: Final = "changed"
REMOVED: Final = "removed"
UNCHANGED: Final = ""
"""A directory that a layer repeats because of what is in it."""

REPLACED: Final = "replaced"
METADATA: Final = "metadata"
"""Replaced by a file of the same size and time: only its mode or owner changed (chmod -R)."""


@dataclass(slots=True)
class Content:
    """The bytes of one file in one layer, whatever names it has."""

    size: int
    layer: int
    path: bytes
    names: int = 1


@dataclass(slots=True, eq=False)
class Node:
    """A name in the merged tree. ``entry`` is None for a directory that no layer spells out."""

    entry: Entry | None
    layer: int
    content: Content | None = None
    children: dict[bytes, Node] | None = None

    @property
    def is_directory(self) -> bool:
        return self.children is not None


@dataclass(slots=True)
class Wasted:
    """Bytes under one path that the merged tree does not show."""

    path: bytes
    reason: str
    size: int = 0
    files: int = 0
    layers: set[int] = field(default_factory=set)
    """Where the bytes are."""
    by: set[int] = field(default_factory=set)
    """Which layers hide them."""


@dataclass(slots=True)
class LayerReport:
    """What one layer does to the tree below it. Counts are of everything but directories."""

    size: int = 0
    entries: int = 0
    files: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    removed_size: int = 0
    """Bytes below that it removes or replaces: they go from the tree, not from the image."""
    wasted_size: int = 0
    """Its own bytes that some layer hides."""
    listing: list[tuple[str, Entry]] = field(default_factory=list)
    """(ADDED, CHANGED, REMOVED or UNCHANGED, entry); filled if asked for."""


class Tree:
    """Apply layers from the lowest on with ``add``; then look."""

    def __init__(self, *, listing: bool = False) -> None:
        self.root = Node(None, -1, children={})
        self.layers: list[LayerReport] = []
        self.wasted: dict[tuple[bytes, str], Wasted] = {}
        self._listing = listing
        self._total = 0

    def add(self, entries: Iterable[Entry]) -> None:
        """Put one layer on top."""
        number = len(self.layers)
        report = LayerReport()
        self.layers.append(report)
        ordinary: dict[bytes, Entry] = {}
        whiteouts: list[Entry] = []
        for entry in entries:
            self._total += 1
            if self._total > ENTRIES_LIMIT:
                raise InvalidParameter(f"the image has more than {ENTRIES_LIMIT} files")
            report.entries += 1
            path = entry.path
            if WHITEOUT_PREFIX in path:
                base = path[path.rfind(b"/") + 1 :]
                if base.startswith(WHITEOUT_PREFIX):
                    if base == OPAQUE_MARK or not base.startswith(META_PREFIX):
                        whiteouts.append(entry)
                    continue
            ordinary.pop(path, None)  # twice in one tar: the last one counts, at its place
            ordinary[path] = entry
        for entry in whiteouts:
            self._whiteout(entry, number, report)
        folders: dict[bytes, Node] = {b"": self.root}
        for entry in ordinary.values():
            self._place(entry, number, report, folders)

    # Placing

    def _place(
        self, entry: Entry, number: int, report: LayerReport, folders: dict[bytes, Node]
    ) -> None:
        path = entry.path
        if not path:
            self.root.entry, self.root.layer = entry, number
            return
        slash = path.rfind(b"/")
        above = path[:slash] if slash > 0 else b""
        parent = folders.get(above)
        if parent is None:
            parent = self._folder(above, number, report, folders)
        assert parent.children is not None
        name = path[slash + 1 :]
        old = parent.children.get(name)
        type_ = entry.type
        if type_ == DIRECTORY:
            if old is not None and old.children is not None:
                change = UNCHANGED if _same_directory(old.entry, entry) else CHANGED
                old.entry, old.layer = entry, number
                folders[path] = old
                self._list(report, change, entry)
                return
            if old is not None:
                self._hide(old, path, number, report, REPLACED)
            parent.children[name] = folders[path] = Node(entry, number, children={})
            self._list(report, CHANGED if old is not None else ADDED, entry)
            return
        content = None
        if type_ == FILE:
            content = Content(entry.stored, number, path)
            report.size += entry.stored
        elif type_ == HARDLINK:
            target = find(self.root, entry.link)
            if target is None or target.entry is None or target.children is not None:
                return  # a link to nothing: unpacking leaves it out as well
            content = target.content
            if content is not None:
                content.names += 1
            entry = target.entry._replace(path=path)
        if old is not None:
            reason = REPLACED
            was = old.entry
            if (
                was is not None
                and was.type == FILE == entry.type
                and (was.size, was.mtime) == (entry.size, entry.mtime)
            ):
                reason = METADATA
            self._hide(old, path, number, report, reason)
            report.changed += 1
        else:
            report.added += 1
        report.files += 1
        parent.children[name] = Node(entry, number, content)
        if path in folders:  # a directory became something else within the layer's own tree
            for known in [p for p in folders if p == path or p.startswith(path + b"/")]:
                del folders[known]
        self._list(report, CHANGED if old is not None else ADDED, entry)

    def _folder(
        self, path: bytes, number: int, report: LayerReport, folders: dict[bytes, Node]
    ) -> Node:
        """The directory that ``path`` leads to, made if no entry announced it.

        Symlinks on the way are followed within the tree, as unpacking does; a file on the
        way gives way.
        """
        node, real, links = self.root, b"", 0
        above: list[Node] = []
        pending = path.split(b"/")[::-1]
        while pending:
            part = pending.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                if above:
                    node, real = above.pop(), real.rpartition(b"/")[0]
                continue
            siblings = node.children
            assert siblings is not None
            here = real + b"/" + part if real else part
            child = siblings.get(part)
            if child is not None and child.entry is not None and child.entry.type == SYMLINK:
                links += 1
                if links > LINKS_LIMIT:
                    raise InvalidParameter(f"too many links in {show(path)}")
                if child.entry.link.startswith(b"/"):
                    node, real, above = self.root, b"", []
                pending += child.entry.link.split(b"/")[::-1]
                continue
            if child is None or child.children is None:
                if child is not None:
                    self._hide(child, here, number, report, REPLACED)
                child = siblings[part] = Node(None, number, children={})
            above.append(node)
            node, real = child, here
        folders[path] = node
        return node

    def _list(self, report: LayerReport, change: str, entry: Entry) -> None:
        if self._listing:
            report.listing.append((change, entry))

    # Hiding

    def _whiteout(self, entry: Entry, number: int, report: LayerReport) -> None:
        above, _, base = entry.path.rpartition(b"/")
        if base == OPAQUE_MARK:
            node = find(self.root, above + b"/.")  # the dot: links are followed there too
            if node is None or node.children is None:
                return
            for name, child in node.children.items():
                path = above + b"/" + name if above else name
                self._remove(child, path, number, report)
            node.children = {}
            return
        parent = find(self.root, above + b"/.")
        if parent is None or parent.children is None:
            return
        name = base[len(WHITEOUT_PREFIX) :]
        gone = parent.children.pop(name, None)
        if gone is not None:  # else: it deletes nothing
            self._remove(gone, above + b"/" + name if above else name, number, report)

    def _remove(self, node: Node, path: bytes, number: int, report: LayerReport) -> None:
        self._hide(node, path, number, report, REMOVED)
        report.removed += sum(1 for _, n in walk(node, path) if not n.is_directory)
        gone = node.entry or Entry(path, DIRECTORY, 0o755, 0, 0, 0, 0)
        self._list(report, REMOVED, gone._replace(path=path))

    def _hide(self, node: Node, path: bytes, number: int, report: LayerReport, reason: str) -> None:
        """Account for what is no longer seen once ``node`` is gone from the tree."""
        for _, hidden in walk(node, path):
            content = hidden.content
            if content is None:
                continue
            content.names -= 1
            if content.names or not content.size:
                continue
            report.removed_size += content.size
            self.layers[content.layer].wasted_size += content.size
            wasted = self.wasted.get((path, reason))
            if wasted is None:
                wasted = self.wasted[path, reason] = Wasted(path, reason)
            wasted.size += content.size
            wasted.files += 1
            wasted.layers.add(content.layer)
            wasted.by.add(number)

    # Looking

    @property
    def size(self) -> int:
        """Bytes of files in all layers."""
        return sum(report.size for report in self.layers)

    @property
    def wasted_size(self) -> int:
        return sum(report.wasted_size for report in self.layers)

    @property
    def efficiency(self) -> float:
        """The part of the stored bytes that a container can see; 1.0 for an empty image."""
        size = self.size
        return (size - self.wasted_size) / size if size else 1.0


def find(root: Node, path: bytes) -> Node | None:
    """The node at ``path``. Links are followed in its parents, not at its end."""
    node, links = root, 0
    above: list[Node] = []
    pending = path.split(b"/")[::-1]
    while pending:
        part = pending.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            node = above.pop() if above else node
            continue
        child = node.children.get(part) if node.children is not None else None
        if child is None:
            return None
        if pending and child.entry is not None and child.entry.type == SYMLINK:
            links += 1
            if links > LINKS_LIMIT:
                return None
            if child.entry.link.startswith(b"/"):
                node, above = root, []
            pending += child.entry.link.split(b"/")[::-1]
            continue
        above.append(node)
        node = child
    return node


def walk(node: Node, path: bytes) -> Iterator[tuple[bytes, Node]]:
    """``node`` and everything below it, with paths, in no order."""
    stack = [(path, node)]
    while stack:
        here, node = stack.pop()
        yield here, node
        if node.children:
            prefix = here + b"/" if here else b""
            stack += [(prefix + name, child) for name, child in node.children.items()]


def totals(root: Node) -> dict[Node, tuple[int, int]]:
    """Of every directory: (bytes, files) below it; a hard-linked file counts once."""
    found: dict[Node, tuple[int, int]] = {}
    seen: set[int] = set()
    order: list[Node] = [root]
    for node in order:
        if node.children:
            order += [child for child in node.children.values() if child.children is not None]
    for node in reversed(order):
        size = files = 0
        for child in (node.children or {}).values():
            if child.children is not None:
                below = found[child]
                size += below[0]
                files += below[1]
                continue
            files += 1
            content = child.content
            if content is None:
                continue
            if content.names > 1:
                if id(content) in seen:
                    continue
                seen.add(id(content))
            size += content.size
        found[node] = (size, files)
    return found


def sorted_children(node: Node) -> Sequence[tuple[bytes, Node]]:
    return sorted((node.children or {}).items())


def _same_directory(old: Entry | None, new: Entry) -> bool:
    """Whether a layer only repeats a directory; its time changes with what is in it."""
    return old is not None and (old.mode, old.uid, old.gid, old.xattrs) == (
        new.mode,
        new.uid,
        new.gid,
        new.xattrs,
    )
