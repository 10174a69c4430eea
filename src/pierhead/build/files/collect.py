"""Which files a COPY or ADD means, and the digest of them. No IO but the tree's own.

Rules are BuildKit's (``dispatchCopy`` and fsutil's ``copy``): a source that is a directory
stands for what is in it; a final symlink is followed; wildcards that match nothing are
fine, paths without that aren't there are errors; ``--parents`` keeps the path behind
``/./`` (or all of it) and knows ``**``.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from pierhead.build.dockerfile import ignore
from pierhead.build.files import globs
from pierhead.build.files.entries import Entry, shown
from pierhead.build.files.tree import FileTree, find, join, resolve
from pierhead.errors import InvalidParameter, NotFound

_VERSION: Final = b"pierhead-selection-1\n"


class Part(msgspec.Struct, array_like=True):
    """One source: a file, or what is in a directory."""

    name: bytes
    """A file's name, where the destination is a directory."""
    is_dir: bool
    entries: list[Entry]
    """Of a file: itself, ``path`` b"". Of a directory: all below it that is meant, parents
    before children, sorted; ``path`` relative to it."""


def collect(
    tree: FileTree,
    sources: Sequence[str],
    *,
    parents: bool = False,
    exclude: Sequence[str] = (),
) -> list[Part]:
    """The parts that ``sources`` mean. ``NotFound``, or ``InvalidParameter`` (bad patterns)."""
    excluded = patterns(exclude)
    found: list[Part] = []
    for source in sources:
        raw = source.encode("utf-8", "surrogateescape")
        if parents:
            found += _with_parents(tree, raw, excluded)
            continue
        for path, is_match in _expand(tree, raw):
            found.append(_part(tree, path, excluded, None, is_match))
    return [part for part in found if part.is_dir or part.entries]


def patterns(texts: Sequence[str]) -> ignore.Patterns | None:
    if not texts:
        return None
    try:
        return ignore.Patterns(texts)
    except ignore.PatternError as error:
        raise InvalidParameter(f"invalid excludepatterns: {list(texts)}: {error}") from error


def _expand(tree: FileTree, source: bytes) -> Iterator[tuple[bytes, bool]]:
    """Paths that ``source`` names, and whether by a wildcard."""
    fixed, pattern = globs.split(_normal(source))
    if not pattern:
        yield fixed, False
        return
    levels = [globs.compile_match(part).fullmatch for part in pattern.split(b"/")]
    stack = [(resolve(tree, fixed), 0)]
    while stack:
        directory, level = stack.pop()
        deeper = []
        for name in tree.names(directory):
            if not levels[level](name):
                continue
            path = join(directory, name)
            if level == len(levels) - 1:
                yield path, True
            elif (entry := tree.lstat(path)) is not None and entry.is_dir:
                deeper.append((path, level + 1))
        stack += reversed(deeper)


def _normal(path: bytes) -> bytes:
    """As Go's ``path.Join("/", path)``: no "." and no way up out of the root."""
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part and part != b".":
            parts.append(part)
    return b"/".join(parts)


def _with_parents(
    tree: FileTree, source: bytes, excluded: ignore.Patterns | None
) -> Iterator[Part]:
    before, pivot, after = source.partition(b"/./")
    if not pivot:
        before, after = b"", source
    elif not before.strip(b"/"):
        before = b""
    pattern = _normal(after)
    if not globs.has_wildcards(before) and not globs.has_wildcards(pattern):
        find(tree, join(_normal(before), pattern))
    include = patterns([pattern.decode("utf-8", "surrogateescape")]) if pattern else None
    for path, is_match in _expand(tree, before):
        if not is_match and tree.lstat(resolve(tree, path)) is None:
            raise NotFound(f'"/{path.decode("utf-8", "replace")}": not found')
        yield _part(tree, path, excluded, include, is_match)


def _part(
    tree: FileTree,
    path: bytes,
    excluded: ignore.Patterns | None,
    included: ignore.Patterns | None,
    is_match: bool,
) -> Part:
    top = find(tree, path)
    name = path.rpartition(b"/")[2]
    if not top.is_dir:
        # fsutil leaves what a wildcard found alone, the reference says it is excluded
        left_out = is_match and excluded is not None and excluded.matches(name)
        return Part(name, False, [] if left_out else [top.moved(b"")])
    return Part(name, True, list(_below(tree, top.path, excluded, included)))


def _below(
    tree: FileTree,
    top: bytes,
    excluded: ignore.Patterns | None,
    included: ignore.Patterns | None,
) -> Iterator[Entry]:
    """What is in ``top``: with patterns, directories only where something in them is meant."""
    cut = len(top) + 1 if top else 0
    waiting: list[Entry] = []
    """Directories that are not meant themselves, above where we are."""
    stack = [join(top, name) for name in reversed(tree.names(top))]
    plain = excluded is None and included is None
    while stack:
        full = stack.pop()
        entry = tree.lstat(full)
        if entry is None:
            continue
        if stat.S_ISSOCK(entry.mode):
            continue  # they mean nothing without their process
        path = full[cut:]
        entry = entry.moved(path)
        is_dir = entry.is_dir
        if plain:
            yield entry
        else:
            meant = included is None or included.matches(path)
            left_out = excluded is not None and excluded.matches(path)
            if meant and not left_out:
                for above in waiting:
                    if path.startswith(above.path + b"/"):
                        yield above
                waiting.clear()
                yield entry
            elif is_dir:
                if left_out and excluded is not None and not excluded.may_spare_below(path):
                    continue
                if not meant and included is not None and not included.may_match_below(path):
                    continue
                while waiting and not path.startswith(waiting[-1].path + b"/"):
                    waiting.pop()
                waiting.append(entry)
        if is_dir:
            stack += [join(full, name) for name in reversed(tree.names(full))]


# The digest


def digest(
    parts: Sequence[Part],
    *,
    keep_owner: bool,
    content: Callable[[Entry], bytes] = lambda entry: entry.digest,
) -> tuple[str, int, int]:
    """(hex digest, files, bytes) of what would be copied. Times don't count.

    ``content`` gives the sha256 of a file's bytes.
    """
    hasher = hashlib.sha256(_VERSION)
    files = size = 0
    for part in parts:
        hasher.update(b"%d %d\n" % (part.is_dir, len(part.entries)))
        hasher.update(_field(b"" if part.is_dir else part.name))
        names: dict[int, bytes] = {}
        for entry in part.entries:
            sha = b""
            first = b""
            if entry.is_file:
                files += 1
                size += entry.size
                sha = content(entry)
                if len(sha) != 32:
                    raise InvalidParameter(f"the content of {shown(entry.path)} is not known")
                if entry.inode:
                    first = names.setdefault(entry.inode, entry.path)
            owner = b"%d:%d" % (entry.uid, entry.gid) if keep_owner else b""
            hasher.update(
                b"%o %s %d:%d %s" % (entry.mode, owner, *entry.device, _field(entry.path))
            )
            hasher.update(_field(entry.link) + sha)
            if first and first != entry.path:
                hasher.update(b"=" + _field(first))
            for key in sorted(entry.xattrs):
                hasher.update(b"x" + _field(key) + _field(entry.xattrs[key]))
    return hasher.hexdigest(), files, size


def _field(data: bytes) -> bytes:
    return b"%d:%s" % (len(data), data)
