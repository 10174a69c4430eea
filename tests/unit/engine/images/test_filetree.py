from __future__ import annotations

from typing import Any

import pytest

from pierhead.engine.images.filetree import Tree, find, sorted_children, totals, walk
from pierhead.engine.images.layer_entries import entries
from pierhead.errors import InvalidParameter
from support.layers import directory, item, layer_tar, plain

Members = tuple[tuple[Any, ...], ...]


def tree(*layers: Members, listing: bool = False) -> Tree:
    merged = Tree(listing=listing)
    for members in layers:
        merged.add(entries(plain(layer_tar(*members)).open()))
    return merged


def paths(merged: Tree) -> list[str]:
    return sorted(path.decode() for path, _ in walk(merged.root, b"") if path)


def wasted(merged: Tree) -> dict[str, tuple[str, int, int]]:
    return {
        item.path.decode(): (item.reason, item.size, item.files) for item in merged.wasted.values()
    }


def test_one_layer() -> None:
    merged = tree((directory("a"), item("a/b", data="12345"), item("c/d/e", data="1")))
    assert paths(merged) == ["a", "a/b", "c", "c/d", "c/d/e"]
    assert (merged.size, merged.wasted_size, merged.efficiency) == (6, 0, 1.0)
    report = merged.layers[0]
    assert (report.files, report.added, report.changed, report.removed) == (2, 2, 0, 0)
    node = find(merged.root, b"c/d")
    assert node is not None and node.entry is None and node.is_directory


def test_nothing_wastes_nothing() -> None:
    assert Tree().efficiency == 1.0


def test_replaced() -> None:
    merged = tree((item("f", data="123"),), (item("f", data="4567"),))
    assert (merged.size, merged.wasted_size) == (7, 3)
    assert merged.efficiency == pytest.approx(4 / 7)
    assert wasted(merged) == {"f": ("replaced", 3, 1)}
    assert [(report.changed, report.removed_size) for report in merged.layers] == [(0, 0), (1, 3)]
    (only,) = merged.wasted.values()
    assert (only.layers, only.by) == ({0}, {1})


def test_only_its_mode_changed() -> None:
    merged = tree((item("f", data="123"),), (item("f", data="123", mode=0o755),))
    assert wasted(merged) == {"f": ("metadata", 3, 1)}


def test_removed() -> None:
    merged = tree(
        (directory("d"), item("d/a", data="11"), item("d/e/b", data="222"), item("x", data="4")),
        (item(".wh.d"), item(".wh.nothing"), item("none/.wh.at-all")),
    )
    assert paths(merged) == ["x"]
    assert wasted(merged) == {"d": ("removed", 5, 2)}
    assert (merged.layers[1].removed, merged.layers[1].removed_size) == (2, 5)
    assert merged.layers[0].wasted_size == 5


def test_removed_and_made_again_in_one_layer_in_any_order() -> None:
    below = (directory("d"), item("d/old", data="1"))
    for upper in (
        (directory("d"), item("d/new"), item(".wh.d")),
        (item(".wh.d"), directory("d"), item("d/new")),
    ):
        assert paths(tree(below, upper)) == ["d", "d/new"]


def test_opaque() -> None:
    merged = tree(
        (directory("d"), item("d/old", data="1"), directory("d/sub"), item("d/sub/x", data="22")),
        (directory("d"), item("d/new", data="3"), item("d/.wh..wh..opq")),
    )
    assert paths(merged) == ["d", "d/new"]
    assert wasted(merged) == {"d/old": ("removed", 1, 1), "d/sub": ("removed", 2, 1)}


def test_what_aufs_kept_for_itself_is_no_file() -> None:
    merged = tree((item(".wh..wh.plnk/1.2", data="1"), item(".wh..wh.aufs"), item("a")))
    assert paths(merged) == [".wh..wh.plnk", ".wh..wh.plnk/1.2", "a"]  # as unpacking does


def test_hard_links_count_once_and_are_wasted_last() -> None:
    below = (item("a", data="1234"), item("b", "hardlink", link="a"))
    merged = tree(below, (item(".wh.a"),))
    assert (merged.size, merged.wasted_size) == (4, 0)
    assert paths(merged) == ["b"]
    merged = tree(below, (item(".wh.a"),), (item("b", data="x"),))
    assert merged.wasted_size == 4
    both = tree(below)
    assert totals(both.root)[both.root] == (4, 2)


def test_a_hard_link_to_a_layer_below() -> None:
    merged = tree((item("a", data="1234"),), (item("b", "hardlink", link="a"),))
    assert paths(merged) == ["a", "b"]
    assert merged.size == 4
    assert paths(tree((item("b", "hardlink", link="nothing"),))) == []


def test_a_file_takes_a_directory_s_place_and_back() -> None:
    merged = tree((item("d/x", data="1"),), (item("d", data="22"),), (item("d/y", data="3"),))
    assert paths(merged) == ["d", "d/y"]
    assert wasted(merged) == {"d": ("replaced", 3, 2)}


def test_links_on_the_way_are_followed() -> None:
    merged = tree(
        (directory("usr/lib"), item("lib", "symlink", link="usr/lib")),
        (item("lib/a", data="1"), item("lib/../etc/b", data="2")),
        (item("lib/.wh.a"),),
    )
    assert paths(merged) == ["etc", "etc/b", "lib", "usr", "usr/lib"]
    assert find(merged.root, b"lib/../lib") is find(merged.root, b"usr/lib")
    absolute = tree((item("l", "symlink", link="/x/y"), item("l/f", data="1")))
    assert "x/y/f" in paths(absolute)


def test_links_in_circles() -> None:
    with pytest.raises(InvalidParameter, match="too many links"):
        tree((item("a", "symlink", link="a"), item("a/b")))
    merged = tree((item("a", "symlink", link="a"),))
    assert find(merged.root, b"a/b") is None


def test_the_last_of_two_counts() -> None:
    merged = tree((item("a", data="1"), item("b"), item("a", data="22")))
    assert merged.size == 2
    assert merged.layers[0].files == 2


def test_listing() -> None:
    merged = tree(
        (directory("d"), item("d/a", data="1"), item("d/b", data="1")),
        (directory("d"), item("d/a", data="22"), item("d/.wh.b"), item("d/c")),
        (directory("d", mode=0o700),),
        listing=True,
    )
    assert [
        [(change, entry.path.decode()) for change, entry in report.listing]
        for report in merged.layers
    ] == [
        [("added", "d"), ("added", "d/a"), ("added", "d/b")],
        [("removed", "d/b"), ("", "d"), ("changed", "d/a"), ("added", "d/c")],
        [("changed", "d")],
    ]


def test_totals_and_order() -> None:
    merged = tree((item("b/x", data="1"), item("b/y/z", data="22"), item("a", data="3")))
    sums = totals(merged.root)
    assert sums[merged.root] == (4, 3)
    node = find(merged.root, b"b")
    assert node is not None and sums[node] == (3, 2)
    assert [name for name, _ in sorted_children(merged.root)] == [b"a", b"b"]
    assert find(merged.root, b"b/nothing") is None
    assert find(merged.root, b"a/below-a-file") is None


def test_the_root_has_attributes() -> None:
    merged = tree((directory("./", mode=0o700),))
    assert merged.root.entry is not None and merged.root.entry.mode == 0o700
