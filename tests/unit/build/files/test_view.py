"""The wanted part of a context."""

from __future__ import annotations

import pytest

from pierhead.build.files.entries import Entry
from pierhead.build.files.tree import Tree
from pierhead.build.files.view import wanted_tree
from pierhead.errors import InvalidParameter

FILE, LINK = 0o100644, 0o120777
TREE = Tree(
    [
        Entry(b"Dockerfile", LINK, link=b"conf/real"),
        Entry(b"conf/real", FILE),
        Entry(b"node_modules/a/b", FILE),
        Entry(b"node_modules/keep", FILE),
        Entry(b"src/x.c", FILE),
        Entry(b"src/x.o", FILE),
    ]
)


def paths(include: list[str], exclude: list[str], follow: tuple[str, ...] = ()) -> list[str]:
    tree, _ = wanted_tree(TREE, include, exclude, follow)
    return sorted(entry.path.decode() for entry in tree if not entry.is_dir)


def test_ignored_files_are_not_there() -> None:
    assert paths([], ["node_modules", "**/*.o", "!node_modules/keep"]) == [
        "Dockerfile", "conf/real", "node_modules/keep", "src/x.c",
    ]  # fmt: skip
    assert wanted_tree(TREE, [], ["src"])[1] == 3


def test_includes_and_what_they_lead_to() -> None:
    assert paths(["src"], ["*/*.o"]) == ["src/x.c"]
    assert paths([], [], ("Dockerfile",)) == ["Dockerfile", "conf/real"]
    assert paths(["src/x.c"], [], ("Dockerfile", "nothing")) == [
        "Dockerfile", "conf/real", "src/x.c",
    ]  # fmt: skip
    assert wanted_tree(TREE, [], []) == (TREE, 0)


def test_sources_with_wildcards() -> None:
    assert paths([], [], ("src/*.c",)) == ["src/x.c"]
    assert paths([], [], ("sr?/*",)) == ["src/x.c", "src/x.o"]
    assert paths([], [], ("**/*.o",)) == ["src/x.o"]
    assert paths([], [], ("Docker*",)) == ["Dockerfile", "conf/real"]
    assert paths([], [], ("sr*",)) == ["src/x.c", "src/x.o"]


def test_a_broken_dockerignore() -> None:
    with pytest.raises(InvalidParameter, match=r"invalid \.dockerignore"):
        wanted_tree(TREE, [], ["[a"])
