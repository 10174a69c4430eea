"""Worker: say what an image's layers hold, what they hide, and what a container sees.

Writes one JSON document to fd 1 (its shape: ``explore.py``).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from pierhead.engine.images.entry_json import Writer, absolute, entry_json
from pierhead.engine.images.filetree import (
    Node,
    Tree,
    Wasted,
    find,
    sorted_children,
    totals,
    walk,
)
from pierhead.engine.images.layer_entries import DIRECTORY, Entry, LayerFile, all_entries
from pierhead.errors import NotFound


def explore(
    *,
    layers: list[list[Any]],
    head: dict[str, Any],
    steps: list[dict[str, Any]],
    files: bool,
    tree: bool,
    only_layer: int | None,
    path: str,
    depth: int | None,
    limit: int,
    out_fd: int = 1,
) -> dict[str, Any]:
    """``layers`` are LayerFile's fields, lowest first; ``steps`` what is known about each.

    Raises ``NotFound`` for a ``path`` that isn't in the image, before anything is written.
    """
    merged = Tree(listing=files)
    for members in all_entries([LayerFile(*layer) for layer in layers]):
        merged.add(members)
    start = path.strip("/").encode("utf-8", "surrogateescape")
    top = find(merged.root, start) if tree else merged.root
    if top is None:
        raise NotFound(f"no such path in the image: {path}")
    below = totals(merged.root)
    size, count = below[merged.root]
    folders = len(below) - 1
    out = Writer(out_fd)
    out.put("{")
    out.members(
        head
        | {
            "Size": merged.size,
            "VisibleSize": size,
            "WastedSize": merged.wasted_size,
            "Efficiency": round(merged.efficiency, 6),
            "Files": count,
            "Directories": folders,
        }
    )
    out.put(',"Layers":')
    _layers(out, merged, steps, only_layer, start, files)
    wasted = sorted(merged.wasted.values(), key=lambda item: (-item.size, item.path))
    out.put(f',"WastedPaths":{len(wasted)},"Wasted":')
    out.array(map(_wasted, wasted[:limit]))
    out.put(',"Largest":')
    out.array(_largest(merged.root, limit))
    if tree:
        out.put(',"Tree":')
        out.array(_tree(top, start, below, depth))
    out.put("}\n")
    out.flush()
    return {}


def _layers(
    out: Writer, merged: Tree, steps: list[dict[str, Any]], only: int | None, start: bytes,
    files: bool,
) -> None:  # fmt: skip
    before = "["
    for number, report in enumerate(merged.layers):
        out.put(before + "{")
        before = ","
        out.members(
            {
                "Index": number,
                **steps[number],
                "Size": report.size,
                "Files": report.files,
                "Added": report.added,
                "Changed": report.changed,
                "Removed": report.removed,
                "HiddenSize": report.removed_size,
                "WastedSize": report.wasted_size,
            }
        )
        if files and only in (None, number):
            prefix = start + b"/" if start else b""
            out.put(',"Entries":')
            out.array(
                entry_json(entry.path, entry, entry.size, f',"Change":"{change}"' if change else "")
                for change, entry in report.listing
                if not prefix or entry.path == start or entry.path.startswith(prefix)
            )
        out.put("}")
    out.put("]" if before == "," else "[]")


def _wasted(item: Wasted) -> str:
    return (
        f'{{"Path":{quote(absolute(item.path))},"Reason":"{item.reason}","Size":{item.size},'
        f'"Files":{item.files},"Layers":{sorted(item.layers)},"HiddenBy":{sorted(item.by)}}}'
    )


def _largest(root: Node, limit: int) -> Iterator[str]:
    """The largest files that are seen; a file of several names counts once."""
    seen: set[int] = set()

    def candidates() -> Iterator[tuple[int, bytes, Node]]:
        for path, node in walk(root, b""):
            content = node.content
            if content is None or not content.size or id(content) in seen:
                continue
            if content.names > 1:
                seen.add(id(content))
            yield -content.size, path, node

    for size, path, node in heapq.nsmallest(limit, candidates(), key=lambda item: item[:2]):
        assert node.content is not None
        yield (f'{{"Path":{quote(absolute(path))},"Size":{-size},"Layer":{node.content.layer}}}')


def _tree(
    top: Node, path: bytes, below: dict[Node, tuple[int, int]], depth: int | None
) -> Iterator[str]:
    """Depth first, names in order. A directory's size is that of all below it."""
    stack = [(path, top, 0)]
    while stack:
        here, node, level = stack.pop()
        size, files = below.get(node, (0, 0))
        more = f',"Layer":{node.layer}'
        entry = node.entry
        if node.is_directory:
            more += f',"Files":{files}'
            entry = entry or Entry(here, DIRECTORY, 0o755, 0, 0, 0, 0)
        else:
            assert entry is not None
            size = entry.size
            if node.content is not None and node.content.names > 1:
                more += f',"Links":{node.content.names}'
        yield entry_json(here, entry, size, more)
        if node.is_directory and (depth is None or level < depth):
            prefix = here + b"/" if here else b""
            stack += [
                (prefix + name, child, level + 1) for name, child in sorted_children(node)[::-1]
            ]
