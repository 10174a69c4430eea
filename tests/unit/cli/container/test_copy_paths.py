from __future__ import annotations

import pytest

from pierhead.cli.container.copy_paths import (
    MODE_DEVICE,
    MODE_DIR,
    CopyPathError,
    Place,
    clean,
    keep_ending,
    mode_problem,
    plan,
    rebase_name,
    renamer,
    split_argument,
    split_entry,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("c:/x", ("c", "/x")),
        ("c:x:y", ("c", "x:y")),
        ("/a:b", ("", "/a:b")),
        ("./a:b", ("", "./a:b")),
        ("a", ("", "a")),
        ("-", ("", "-")),
    ],
)
def test_arguments(text: str, parts: tuple[str, str]) -> None:
    assert split_argument(text) == parts


@pytest.mark.parametrize(
    ("path", "cleaned", "entry"),
    [
        ("/a/b/", "/a/b", ("/a/", "b")),
        ("/a/b/.", "/a/b", ("/a/b/", ".")),
        ("a/../b", "b", ("", "b")),
        ("../a", "../a", ("../", "a")),
        ("/..", "/", ("/", "")),
        ("", ".", ("", ".")),
    ],
)
def test_paths(path: str, cleaned: str, entry: tuple[str, str]) -> None:
    assert clean(path) == cleaned
    assert split_entry(path) == entry


def test_endings() -> None:
    assert keep_ending("/a", "a/") == "/a/"
    assert keep_ending("/a", "a/.") == "/a/."
    assert keep_ending("/", ".") == "/."
    assert keep_ending("/a", "a") == "/a"


def _place(path: str, kind: str) -> Place:
    return Place(path, exists=kind != "-", is_dir=kind == "d")


@pytest.mark.parametrize(
    ("source", "target", "directory", "change"),
    [
        # an existing directory takes the entries as they are
        (("/s/a", "f"), ("/t", "d"), "/t", None),
        (("/s/a", "d"), ("/t", "d"), "/t", None),
        (("/s/a/.", "d"), ("/t", "d"), "/t", None),
        # otherwise what is copied gets the target's name
        (("/s/a", "f"), ("/t/b", "f"), "/t/", ("a", "b")),
        (("/s/a", "f"), ("/t/b", "-"), "/t/", ("a", "b")),
        (("/s/a", "d"), ("/t/b", "-"), "/t/", ("a", "b")),
        (("/s/a", "d"), ("/t/b/", "-"), "/t/", ("a", "b")),
        (("/s/a/.", "d"), ("/t/b", "-"), "/t/", (".", "b")),
    ],
)
def test_plan(
    source: tuple[str, str],
    target: tuple[str, str],
    directory: str,
    change: tuple[str, str] | None,
) -> None:
    assert plan(_place(*source), _place(*target)) == (directory, change)


def test_plans_that_cannot_be() -> None:
    with pytest.raises(CopyPathError, match="cannot copy directory"):
        plan(_place("/s", "d"), _place("/t", "f"))
    with pytest.raises(CopyPathError, match="no such directory"):
        plan(_place("/s", "f"), _place("/t/", "-"))


def test_renaming() -> None:
    rename = renamer(("a", "b"))
    assert [rename(name) for name in ("a", "a/", "a/a")] == ["b", "b/", "b/a"]
    assert renamer((".", "b"))("./x") == "b/x"
    assert renamer(("/", "b/"))("x") == "b/x"
    assert renamer(None)("x") == "x"


def test_followed_links_keep_the_name_that_was_typed() -> None:
    assert rebase_name("/l", "/d") == ("/d", "l")
    assert rebase_name("/l/.", "/d") == ("/d/.", "l")
    assert rebase_name("/d", "/x/d") == ("/x/d", "")


def test_modes() -> None:
    assert mode_problem(MODE_DIR) == ""
    assert mode_problem(MODE_DEVICE) == "got a device"
