"""Trees as text: the files of an image with their sizes, and images by shared layers."""

from __future__ import annotations

from pierhead.cli.format.entries import name_text, printable
from pierhead.cli.format.units import human_size, truncate_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Entry = Mapping[str, Any]


class _Branch:
    """An entry and what is below it."""

    __slots__ = ("children", "entry", "name")

    def __init__(self, entry: Entry, name: str) -> None:
        self.entry = entry
        self.name = name
        self.children: list[_Branch] = []


def _grow(entries: Sequence[Entry]) -> _Branch:
    """From entries depth first to branches; the first entry is the root."""
    root = _Branch(entries[0], str(entries[0]["Path"]))
    stack = [root]
    for entry in entries[1:]:
        path = str(entry["Path"])
        above, _, name = path.rpartition("/")
        while len(stack) > 1 and str(stack[-1].entry["Path"]) != (above or "/"):
            stack.pop()
        branch = _Branch(entry, name)
        stack[-1].children.append(branch)
        if entry["Type"] == "directory":
            stack.append(branch)
    return root


def file_tree_text(
    entries: Sequence[Entry], *, by_size: bool = False, directories: bool = False, least: int = 0
) -> str:
    """``   SIZE  FILES  LAYER  PATH`` and a line for each entry.

    ``by_size`` puts the largest first, ``directories`` leaves files out, and so does
    ``least`` bytes whatever is smaller.
    """
    out = [f"{'SIZE':>8}  {'FILES':>7}  {'LAYER':>5}  PATH\n"]
    stack = [(_grow(entries), "", "", True)]
    while stack:
        branch, before, joint, last = stack.pop()
        entry = branch.entry
        directory = entry["Type"] == "directory"
        size = human_size(int(entry["Size"]), 3) if directory or entry["Type"] == "file" else ""
        files = str(entry["Files"]) if directory else ""
        layer = str(entry["Layer"]) if int(entry["Layer"]) >= 0 else ""
        name = name_text(entry, branch.name)
        out.append(f"{size:>8}  {files:>7}  {layer:>5}  {before}{joint}{name}\n")
        children = [
            child
            for child in branch.children
            if int(child.entry["Size"]) >= least
            and (not directories or child.entry["Type"] == "directory")
        ]
        if by_size:
            children.sort(key=lambda child: -int(child.entry["Size"]))
        stack += _next(children, before, joint, last)
    return "".join(out)


def _next(children: Sequence[Any], before: str, joint: str, last: bool) -> list[Any]:
    """What to draw below a line, for the stack: the first on top, each with its lines before it."""
    if joint:
        before += "    " if last else "│   "
    return [
        (child, before, "└── " if at == 0 else "├── ", at == 0)
        for at, child in enumerate(reversed(children))
    ]


def image_tree_text(nodes: Sequence[Entry], *, trunc: bool = True) -> str:
    """Images by the layers that they share: own size, size in all, layers, images."""
    children: dict[str, list[Entry]] = {}
    for node in nodes:
        if node["ChainId"]:
            children.setdefault(str(node["Parent"]), []).append(node)
    out = [f"{'SIZE':>8}  {'TOTAL':>8}  {'LAYERS':>6}  IMAGES\n"]

    def line(node: Entry, prefix: str) -> None:
        images = "; ".join(
            f"{', '.join(image['RepoTags']) or '<none>'} "
            f"({truncate_id(image['Id']) if trunc else image['Id']})"
            for image in node["Images"]
        )
        shared = f"[shared] {printable(' '.join(str(node['CreatedBy']).split()))[:60]}".rstrip()
        out.append(
            f"{human_size(int(node['Size']), 3):>8}  {human_size(int(node['TotalSize']), 3):>8}  "
            f"{node['Layers']:>6}  {prefix}{images or shared}\n"
        )

    for node in nodes:
        if not node["ChainId"]:
            line(node, "")
    stack = [(node, "", "", True) for node in reversed(children.get("", []))]
    while stack:
        node, before, joint, last = stack.pop()
        line(node, before + joint)
        below = children.get(str(node["ChainId"]), [])
        stack += _next(below, before, joint, last)
    return "".join(out)
