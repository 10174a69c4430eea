"""Trees of entries."""

from __future__ import annotations

import pytest

from pierhead.build.files.entries import Entry
from pierhead.build.files.tree import Tree, children, find, resolve, walk
from pierhead.errors import InvalidParameter, NotFound

FILE, LINK = 0o100644, 0o120777


def test_directories_are_implied() -> None:
    tree = Tree([Entry(b"a/b/c", FILE)])
    assert tree.names(b"") == [b"a"]
    assert [entry.path for entry in walk(tree, b"")] == [b"a", b"a/b", b"a/b/c"]
    assert find(tree, b"/a/b").is_dir


def test_implied_directories_are_as_new_as_what_is_in_them() -> None:
    tree = Tree(
        [
            Entry(b"a/b/c", FILE, mtime_ns=5),
            Entry(b"a/d", FILE, mtime_ns=9),
            Entry(b"e", 0o040755, mtime_ns=1),
            Entry(b"e/f", FILE, mtime_ns=7),
        ]
    )
    times = {entry.path: entry.mtime_ns for entry in tree if entry.is_dir}
    assert times == {b"": 9, b"a": 9, b"a/b": 5, b"e": 1}
    assert [entry.path for entry in children(tree, b"a")] == [b"a/b", b"a/d"]
    with pytest.raises(InvalidParameter, match="not a directory"):
        children(tree, b"a/d")


def test_nothing_lies_below_a_file_or_a_link() -> None:
    for mode in (FILE, LINK):
        with pytest.raises(InvalidParameter, match="which is no directory"):
            Tree([Entry(b"a", mode), Entry(b"a/b", FILE)])


def test_links_are_resolved_inside() -> None:
    tree = Tree(
        [
            Entry(b"d/f", FILE),
            Entry(b"d/up", LINK, link=b"../../../d"),
            Entry(b"abs", LINK, link=b"/d/f"),
            Entry(b"dangling", LINK, link=b"no/where"),
        ]
    )
    assert resolve(tree, b"d/up/up/f") == b"d/f"
    assert resolve(tree, b"abs") == b"d/f"
    assert resolve(tree, b"abs", follow=False) == b"abs"
    assert resolve(tree, b"dangling") == b"no/where"
    assert resolve(tree, b"../..") == b""
    with pytest.raises(NotFound, match='"/dangling": not found'):
        find(tree, b"dangling")


def test_a_filtered_tree_keeps_what_is_above() -> None:
    tree = Tree([Entry(b"a", 0o040700), Entry(b"a/b", FILE), Entry(b"c", FILE)])
    found = tree.filtered([Entry(b"a/b", FILE)])
    assert sorted(entry.path for entry in found) == [b"", b"a", b"a/b"]
    assert find(found, b"a").mode == 0o040700
