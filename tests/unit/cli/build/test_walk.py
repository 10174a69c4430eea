from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import Any

import pytest

from pierhead.build.dockerfile.ignore import Patterns
from pierhead.cli.build.walk import content, followed, walk


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a", "d/x", "d/y", "d/deep/z", "node_modules/m", "e/keep", "e/drop"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "link").symlink_to("d/x")
    (tmp_path / "dirlink").symlink_to("d")
    return tmp_path


def paths(root: Path, **wanted: Any) -> list[str]:
    return [entry[0] for entry in walk(str(root), **wanted)]


def test_everything_parents_first_and_sorted(tree: Path) -> None:
    found = paths(tree)
    assert found == sorted(found, key=lambda path: path.split("/"))
    assert found[:4] == ["a", "d", "d/deep", "d/deep/z"]
    assert {"link", "dirlink", "node_modules/m"} <= set(found)


def test_what_is_told_of_a_file(tree: Path) -> None:
    entries = {entry[0]: entry for entry in walk(str(tree))}
    info = (tree / "a").stat()
    assert entries["a"] == ["a", info.st_mode, 1, info.st_mtime_ns]
    assert entries["link"][6] == "d/x"


def test_exclude(tree: Path) -> None:
    assert "node_modules" not in paths(tree, exclude=["node_modules"])
    found = paths(tree, exclude=["e/*", "!e/keep"])
    assert "e/keep" in found and "e/drop" not in found and "e" in found
    assert paths(tree, exclude=["**"]) == []
    assert paths(tree, exclude=["*", "!d/deep/z"]) == ["d", "d/deep", "d/deep/z"]


def test_include_brings_parents_along(tree: Path) -> None:
    assert paths(tree, include=["d/deep/z"]) == ["d", "d/deep", "d/deep/z"]
    assert paths(tree, include=["d"]) == ["d", "d/deep", "d/deep/z", "d/x", "d/y"]
    assert paths(tree, include=["nope/x"]) == []
    assert paths(tree, include=["e"], exclude=["e/drop"]) == ["e", "e/keep"]


def test_follow(tree: Path) -> None:
    assert paths(tree, follow=["link"]) == ["d", "d/x", "link"]
    assert "dirlink" in paths(tree, follow=["dirlink/deep"])
    assert "d/deep/z" in paths(tree, follow=["dirlink/deep"])
    assert "d/x" in paths(tree, follow=["lin*"])
    assert paths(tree, follow=["."]) == paths(tree, follow=["/"]) == paths(tree)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert set(followed(str(tmp_path), ["a/x"])) >= {"a", "b"}


def test_links_out_of_the_tree_stay_in_it(tmp_path: Path) -> None:
    (tmp_path / "up").symlink_to("../../../etc")
    (tmp_path / "etc").mkdir()
    assert "etc/passwd" in followed(str(tmp_path), ["up/passwd"])


def test_sockets_are_left_out_and_pipes_are_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        os.mkfifo(tmp_path / "p")
        assert paths(tmp_path) == ["p"]


def test_no_shortcut_changes_what_is_found(tree: Path) -> None:
    """Random patterns, beside asking about each file by itself."""
    dice = random.Random(7)
    files = [path for path in paths(tree) if not (tree / path).is_dir() or path == "dirlink"]
    words = ["a", "d", "d/x", "d/deep", "**/z", "e", "e/*", "*", "**", "d/**", "node_modules"]
    for _ in range(400):
        include, exclude = (
            [dice.choice(("", "", "!")) + word for word in dice.sample(words, dice.randint(0, 4))]
            for _ in range(2)
        )
        wanted, ignored = Patterns(include), Patterns(exclude)
        expected = [
            path
            for path in files
            if (not include or wanted.matches(path)) and not ignored.matches(path)
        ]
        found = paths(tree, include=include, exclude=exclude)
        assert [path for path in found if path in files] == expected, (include, exclude)


def test_names_of_one_file(tree: Path) -> None:
    os.link(tree / "a", tree / "d" / "again")
    entries = {entry[0]: entry for entry in walk(str(tree))}
    assert entries["d/again"][6:] == ["a", 1] and len(entries["a"]) == 4
    alone = {entry[0]: entry for entry in walk(str(tree), include=["d/again"])}
    assert len(alone["d/again"]) == 4


def test_content(tree: Path) -> None:
    assert b"".join(content(str(tree), "d/x", 2)) == b"d/x"
    with pytest.raises(OSError):
        list(content(str(tree), "link", 2))


def test_names_need_not_be_text(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    assert paths(tmp_path) == ["\udcff"]
