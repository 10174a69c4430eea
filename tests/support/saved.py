"""What is in a saved image: its config, its history and the tree that its layers come to."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
import stat
import tarfile
from dataclasses import dataclass
from typing import Any

_TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char device",
    tarfile.BLKTYPE: "block device",
}


@dataclass(slots=True)
class Entry:
    """One name; two of one ``inode`` are hard links of each other."""

    kind: str
    mode: int
    owner: tuple[int, int]
    content: str
    """Digest of a file, target of a symlink, numbers of a device."""
    xattrs: tuple[tuple[str, str], ...]
    mtime_s: int
    inode: int

    def described(self) -> tuple[object, ...]:
        return self.kind, oct(self.mode), self.owner, self.content, self.xattrs


@dataclass(slots=True)
class Saved:
    config: dict[str, Any]
    """The whole image config."""
    layers: list[dict[str, Entry]]
    """Each layer's own entries, whiteouts among them."""
    tree: dict[str, Entry]

    @property
    def history(self) -> list[tuple[str, bool]]:
        """Of each step: its text, and whether it made no layer."""
        return [
            (step.get("created_by", ""), step.get("empty_layer", False))
            for step in self.config["history"]
        ]

    def links(self) -> set[frozenset[str]]:
        """Groups of names that are one file."""
        groups: dict[int, set[str]] = {}
        for path, entry in self.tree.items():
            groups.setdefault(entry.inode, set()).add(path)
        return {frozenset(group) for group in groups.values() if len(group) > 1}


def read(data: bytes) -> Saved:
    """The first image of a ``docker save`` archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {
            posixpath.normpath(member.name): member.linkname
            and posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
            for member in archive
        }

        def content(name: str) -> bytes:
            name = posixpath.normpath(name)
            while files[name]:
                name = files[name]
            member = archive.extractfile(archive.getmember(name))
            assert member is not None
            return member.read()

        manifest = json.loads(content("manifest.json"))[0]
        config = json.loads(content(manifest["Config"]))
        layers = []
        tree: dict[str, Entry] = {}
        inodes = iter(range(1, 1 << 40))
        for name in manifest["Layers"]:
            layer = _layer(content(name), tree, inodes)
            layers.append(layer)
            _apply(tree, layer)
    return Saved(config, layers, tree)


def _layer(data: bytes, below: dict[str, Entry], inodes: Any) -> dict[str, Entry]:
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    found: dict[str, Entry] = {}
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        for member in tar:
            path = posixpath.normpath("/" + member.name)
            if member.islnk():
                target = posixpath.normpath("/" + member.linkname)
                found[path] = found.get(target) or below[target]
                continue
            kind = _TYPES[member.type]
            if kind == "file":
                stream = tar.extractfile(member)
                assert stream is not None
                text = hashlib.sha256(stream.read()).hexdigest()
            elif kind == "symlink":
                text = member.linkname
            elif "device" in kind:
                text = f"{member.devmajor}:{member.devminor}"
            else:
                text = ""
            xattrs = sorted(
                (key.removeprefix("SCHILY.xattr."), value)
                for key, value in member.pax_headers.items()
                if key.startswith("SCHILY.xattr.")
            )
            mode = stat.S_IMODE(member.mode) if kind != "symlink" else 0o777
            owner = (member.uid, member.gid)
            found[path] = Entry(
                kind, mode, owner, text, tuple(xattrs), int(member.mtime), next(inodes)
            )
    return found


def _apply(tree: dict[str, Entry], layer: dict[str, Entry]) -> None:
    def remove_below(path: str) -> None:
        prefix = path.rstrip("/") + "/"
        for known in [known for known in tree if known.startswith(prefix)]:
            del tree[known]

    for path in layer:
        folder, name = posixpath.split(path)
        if name == ".wh..wh..opq":
            remove_below(folder)
        elif name.startswith(".wh."):
            gone = posixpath.join(folder, name[4:])
            tree.pop(gone, None)
            remove_below(gone)
    for path, entry in layer.items():
        if posixpath.basename(path).startswith(".wh."):
            continue
        known = tree.get(path)
        if known is not None and known.kind == "directory" and entry.kind != "directory":
            remove_below(path)
        tree[path] = entry
