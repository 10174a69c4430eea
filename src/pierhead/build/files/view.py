"""Which part of a context is wanted: ``Wanted`` applied to a whole tree. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pierhead.build.dockerfile import ignore
from pierhead.build.files import globs
from pierhead.build.files.entries import Entry
from pierhead.build.files.held import Held, elsewhere
from pierhead.build.files.tree import Tree, join, resolve, walk
from pierhead.errors import InvalidParameter


def wanted_tree(
    tree: Tree, include: Sequence[str], exclude: Sequence[str], follow: Sequence[str] = ()
) -> tuple[Tree, int]:
    """The part of ``tree`` that is wanted, and how many entries of it are not.

    ``include``: patterns as in a .dockerignore, with all that is below what they match; none
    is everything. ``follow``: COPY's sources, wanted with what symlinks lead to. ``exclude``: a
    .dockerignore's patterns, which ``follow`` doesn't overrule.
    """
    if not include and not exclude and not follow:
        return tree, 0
    ignored = _rules(exclude)
    included = _patterns(include)
    everything = included is None and not follow
    kept: dict[bytes, Entry] = {}
    for entry in tree:
        path = entry.path
        if (
            path
            and (everything or (included is not None and included.matches(path)))
            and (ignored is None or not ignored.ignored(path))
        ):
            kept[path] = entry
    for name in follow:
        for entry in _meant(tree, name.encode("utf-8", "surrogateescape")):
            if entry.path and not (ignored and ignored.ignored(entry.path)):
                kept[entry.path] = entry
    found = tree.filtered(kept.values())
    return found, len(tree) - len(found)


def _rules(patterns: Sequence[str]) -> ignore.Rules | None:
    if not patterns:
        return None
    try:
        return ignore.Rules(patterns)
    except ignore.PatternError as error:
        raise InvalidParameter(f"invalid .dockerignore: {error}") from error


def _patterns(patterns: Sequence[str]) -> ignore.Patterns | None:
    if not patterns:
        return None
    try:
        return ignore.Patterns(patterns)
    except ignore.PatternError as error:
        raise InvalidParameter(f"invalid include patterns: {error}") from error


async def narrow(held: Held, exclude: Sequence[str]) -> Held:
    """The same source without what the .dockerignore patterns ``exclude`` mean."""
    tree, _ = await elsewhere(len(held.tree), lambda: wanted_tree(held.tree, (), exclude))
    return Held(tree, held.packs.share())


def _meant(tree: Tree, source: bytes) -> Iterable[Entry]:
    """What a COPY of ``source`` may need."""
    fixed, pattern = globs.split(source)
    if not pattern:
        yield from _led_to(tree, source)
        return
    yield from _links(tree, fixed)
    text = join(resolve(tree, fixed), pattern).decode("utf-8", "surrogateescape")
    matching = _patterns([text])
    assert matching is not None
    for entry in tree:
        if entry.path and matching.matches(entry.path):
            yield entry
            if entry.is_link:
                yield from _led_to(tree, entry.path)


def _led_to(tree: Tree, path: bytes) -> Iterable[Entry]:
    """All symlinks on the way along ``path``, and what it leads to with all below."""
    yield from _links(tree, path)
    top = tree.lstat(resolve(tree, path))
    if top is not None:
        yield top
        if top.is_dir:
            yield from walk(tree, top.path)


def _links(tree: Tree, path: bytes) -> Iterable[Entry]:
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    for number in range(1, len(parts) + 1):
        entry = tree.lstat(resolve(tree, b"/".join(parts[:number]), follow=False))
        if entry is None:
            return
        if entry.is_link:
            yield entry
