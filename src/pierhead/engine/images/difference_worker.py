"""Worker: compare the file trees of two images, and the packages in them.

Writes one JSON document to fd 1 (its shape: ``difference.py``). Layers that both images
have are read once. Files of equal size from different layers are compared by content,
read straight from the layers' tars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from json.encoder import encode_basestring_ascii as quote
from typing import Any, Final, NamedTuple

from pierhead.engine.images import packages
from pierhead.engine.images.entry_json import Writer, absolute
from pierhead.engine.images.filetree import Node, Tree, find, walk
from pierhead.engine.images.layer_entries import (
    DIRECTORY,
    FILE,
    THREADS,
    Entry,
    LayerFile,
    digests,
    entries,
)

_CAPTURE_LIMIT_BYTES: Final = 256 << 20
"""Of all package managers' files together."""

Range = tuple[int, int]
"""(position, length) in a layer's plain tar."""


class Change(NamedTuple):
    """One path that differs. ``what`` names the aspects, for a change."""

    path: bytes
    kind: str
    a: Node | None
    b: Node | None
    what: tuple[str, ...] = ()


class Side:
    """One image: its merged tree, and which layer file each of its layers is."""

    def __init__(self, numbers: Sequence[int], store: Store) -> None:
        self.numbers = numbers
        self.tree = Tree()
        for number in numbers:
            self.tree.add(store.entries[number])

    def place(self, node: Node) -> tuple[int, Range] | None:
        """Which layer file has the bytes of a regular file, and where."""
        content, entry = node.content, node.entry
        if content is None or entry is None or entry.type != FILE:
            return None
        return self.numbers[content.layer], (entry.offset, entry.stored)


class Store:
    """The layers' entries (each tar is read once), and what was kept of their contents."""

    def __init__(self, layers: list[LayerFile], *, capture: bool) -> None:
        self._layers = layers
        self._capture = capture
        self._room = _CAPTURE_LIMIT_BYTES
        self.captured: dict[tuple[int, Range], bytes] = {}
        with ThreadPoolExecutor(THREADS) as pool:
            self.entries: list[list[Entry]] = list(pool.map(self._read, range(len(layers))))

    def _read(self, number: int) -> list[Entry]:
        source = self._layers[number].open()
        found = []
        for entry in entries(source):
            if self._capture and entry.type == FILE and packages.wants_content(entry.path):
                size = entry.stored
                if size <= packages.READ_LIMIT_BYTES and size <= self._room:
                    self._room -= size
                    place = (number, (entry.offset, size))
                    self.captured[place] = source.at(entry.offset, size)
            found.append(entry)
        return found

    def digests(self, wanted: dict[int, set[Range]]) -> dict[int, dict[Range, bytes]]:
        """Digests of ranges, several layers at a time."""
        numbers = list(wanted)
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda number: digests(self._layers[number], wanted[number]), numbers)
            return dict(zip(numbers, found, strict=True))


def difference(
    *,
    layers: list[list[Any]],
    a: list[int],
    b: list[int],
    head: dict[str, Any],
    path: str,
    times: bool,
    content: bool,
    files: bool,
    with_packages: bool,
    out_fd: int = 1,
) -> dict[str, Any]:
    """``layers`` are LayerFile's fields; ``a`` and ``b`` index them, lowest first.

    ``times`` counts a new modification time as a change; without ``content`` files of
    equal size and time are taken for equal unread.
    """
    store = Store([LayerFile(*layer) for layer in layers], capture=with_packages)
    ours, theirs = Side(a, store), Side(b, store)
    start = path.strip("/").encode("utf-8", "surrogateescape")
    changes = compare(ours, theirs, store, start, times=times, content=content) if files else []
    out = Writer(out_fd)
    out.put("{")
    out.members(head)
    if with_packages:
        found = packages.compare(_packages(ours, store), _packages(theirs, store))
        out.put(",")
        out.members({"Packages": found})
    if files:
        _files(out, changes)
    out.put("}\n")
    out.flush()
    return {}


def _packages(side: Side, store: Store) -> packages.Found:
    def seen() -> Iterator[tuple[bytes, bytes]]:
        for path, node in walk(side.tree.root, b""):
            if packages.wants_content(path):
                place = side.place(node)
                if place is not None:
                    yield path, store.captured.get(place, b"")
            elif packages.names_package(path):
                yield path, b""

    return packages.collect(seen())


def compare(
    ours: Side, theirs: Side, store: Store, start: bytes = b"", *, times: bool, content: bool
) -> list[Change]:
    """What differs at and below ``start``, sorted by path."""
    changes: list[Change] = []
    unsure: list[tuple[bytes, Node, Node, list[str]]] = []
    first = find(ours.tree.root, start)
    second = find(theirs.tree.root, start)
    stack: list[tuple[bytes, Node | None, Node | None]] = [(start, first, second)]
    while stack:
        path, a, b = stack.pop()
        if a is None or b is None:
            kind = "added" if a is None else "removed"
            for here, node in walk(b or a, path) if b or a else ():  # type: ignore[arg-type]
                changes.append(
                    Change(here, kind, None if a is None else node, None if b is None else node)
                )
            continue
        what = _aspects(a.entry, b.entry, times=times)
        if a.children is not None and b.children is not None:
            if what:
                changes.append(Change(path, "changed", a, b, tuple(what)))
            prefix = path + b"/" if path else b""
            for name in a.children.keys() | b.children.keys():
                stack.append((prefix + name, a.children.get(name), b.children.get(name)))
            continue
        if "type" in what:
            changes.append(Change(path, "changed", a, b, ("type",)))
            for node, kind in ((a, "removed"), (b, "added")):
                if node.children:
                    inside = [item for item in walk(node, path) if item[1] is not node]
                    for here, child in inside:
                        gone = kind == "removed"
                        changes.append(
                            Change(here, kind, child if gone else None, None if gone else child)
                        )
            continue
        if _maybe_other_bytes(ours, a, theirs, b, content):
            unsure.append((path, a, b, what))
        elif what:
            changes.append(Change(path, "changed", a, b, tuple(what)))
    if unsure:
        changes += _read_and_compare(ours, theirs, store, unsure)
    changes.sort(key=lambda change: change.path.split(b"/"))
    return changes


def _aspects(a: Entry | None, b: Entry | None, *, times: bool) -> list[str]:
    """How two entries differ, contents aside."""
    if a is None or b is None:  # a directory that no layer describes
        entry = a or b
        return [] if entry is None or entry.type == DIRECTORY else ["type"]
    if a.type != b.type:
        return ["type"]
    what = []
    if a.size != b.size:
        what.append("size")
    if a.link != b.link:
        what.append("link")
    if a.mode != b.mode:
        what.append("mode")
    if (a.uid, a.gid) != (b.uid, b.gid):
        what.append("owner")
    if a.device != b.device:
        what.append("device")
    if a.xattrs != b.xattrs:
        what.append("xattrs")
    if times and a.mtime != b.mtime:
        what.append("time")
    return what


def _maybe_other_bytes(ours: Side, a: Node, theirs: Side, b: Node, content: bool) -> bool:
    """Whether only reading can tell if two files of one size are equal."""
    first, second = ours.place(a), theirs.place(b)
    if first is None or second is None or first == second:
        return False
    assert a.entry is not None and b.entry is not None
    if a.entry.size != b.entry.size or not a.entry.size:
        return False
    return content or a.entry.mtime != b.entry.mtime


def _read_and_compare(
    ours: Side, theirs: Side, store: Store, unsure: list[tuple[bytes, Node, Node, list[str]]]
) -> list[Change]:
    wanted: dict[int, set[Range]] = {}
    for _, a, b, _ in unsure:
        for place in (ours.place(a), theirs.place(b)):
            assert place is not None
            wanted.setdefault(place[0], set()).add(place[1])
    known = store.digests(wanted)

    def digest(side: Side, node: Node) -> bytes:
        place = side.place(node)
        assert place is not None
        return known[place[0]][place[1]]

    changes = []
    for path, a, b, what in unsure:
        if digest(ours, a) != digest(theirs, b):
            what = ["content", *what]
        if what:
            changes.append(Change(path, "changed", a, b, tuple(what)))
    return changes


def _files(out: Writer, changes: list[Change]) -> None:
    sums = {"added": [0, 0, 0], "removed": [0, 0, 0], "changed": [0, 0, 0]}
    for change in changes:
        directory = (change.b or change.a).is_directory  # type: ignore[union-attr]
        if not directory:
            sums[change.kind][0] += 1
        sums[change.kind][1] += _size(change.a)
        sums[change.kind][2] += _size(change.b)
    out.put(',"Files":{')
    out.members(
        {
            "Added": sums["added"][0],
            "AddedSize": sums["added"][2],
            "Removed": sums["removed"][0],
            "RemovedSize": sums["removed"][1],
            "Changed": sums["changed"][0],
            "ChangedSizeA": sums["changed"][1],
            "ChangedSizeB": sums["changed"][2],
        }
    )
    out.put(',"Entries":')
    out.array(map(_change_json, changes))
    out.put("}")


def _size(node: Node | None) -> int:
    return 0 if node is None or node.entry is None else node.entry.size


def _change_json(change: Change) -> str:
    """``A`` and ``B`` describe the two sides of a change; other entries have one side only."""
    path, kind = quote(absolute(change.path)), change.kind
    if kind != "changed":
        return f'{{"Path":{path},"Change":"{kind}",{_side(change.b or change.a)}}}'
    what = ",".join(f'"{aspect}"' for aspect in change.what)
    return (
        f'{{"Path":{path},"Change":"changed","What":[{what}],'
        f'"A":{{{_side(change.a)}}},"B":{{{_side(change.b)}}}}}'
    )


def _side(node: Node | None) -> str:
    entry = node.entry if node is not None else None
    if entry is None:
        return '"Type":"directory","Mode":"0755","Uid":0,"Gid":0,"Size":0,"Modified":0'
    link = f',"Link":{quote(entry.link.decode("utf-8", "surrogateescape"))}' if entry.link else ""
    return (
        f'"Type":"{entry.type}","Mode":"{entry.mode:04o}","Uid":{entry.uid},"Gid":{entry.gid},'
        f'"Size":{entry.size},"Modified":{entry.mtime}{link}'
    )
