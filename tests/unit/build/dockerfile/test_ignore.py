"""Rules as moby's: the rows were compared with its own matcher."""

from __future__ import annotations

import pytest

from pierhead.build.dockerfile.ignore import PatternError, Patterns, Rules, clean, read


def test_reading() -> None:
    text = (
        b"\xef\xbb\xbf# comment\n  # not one\n\n node_modules/ \r\n/abs/./x//y\n"
        b"! /keep\n!\n/\n\xff\n"
    )
    assert read(text) == [
        "# not one",
        "node_modules",
        "abs/x/y",
        "!keep",
        "!",
        "/",
        "\udcff",
    ]
    assert clean("//a/../b/.") == "/b"
    assert clean("") == "."


@pytest.mark.parametrize(
    ("rules", "path", "ignored"),
    [
        ("foo", "foo", True),
        ("foo", "foo/bar/x", True),
        ("foo", "a/foo", False),
        ("foo", "foobar", False),
        ("*.md", "x.md", True),
        ("*.md", "a/x.md", False),
        ("**/*.md", "a/b/x.md", True),
        ("**/*.md", "x.md", True),
        ("**/foo", "foo", True),
        ("**/foo", "a/foo/b", True),
        ("**foo", "a/xfoo", True),
        ("foo/**", "foo/a/b", True),
        ("foo/**", "foo", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a*b", "axxb", True),
        ("a*b", "ax/b", False),
        ("a*b", "ab", True),
        ("a?b", "a/b", False),
        ("a?b", "axb", True),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("a.b", "axb", False),
        ("a+(b)|{c}$", "a+(b)|{c}$", True),
        ("**", "anything/at/all", True),
        ("*", "x/y", True),
        ("*\n!x", "x/y", False),
        ("*\n!x\nx/secret", "x/secret/file", True),
        ("*.md\n!README.md", "README.md", False),
        ("!README.md\n*.md", "README.md", True),
        ("foo\n!foo/bar", "foo/bar/x", False),
        ("foo\n!foo/bar", "foo/baz", True),
        (".", "x", False),
        ("*", ".", False),
        ("..", "x", False),
    ],
)
def test_ignored(rules: str, path: str, ignored: bool) -> None:
    parsed = Rules.parse(rules)
    assert parsed.ignored(path) is ignored
    assert parsed.ignored(path.encode()) is ignored
    # A walk from above comes to the same.
    state, left_out = None, False
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        left_out, state = parsed.step("/".join(parts[:depth]), state)
    assert path == "." or left_out is ignored


def test_a_walk_and_a_question_differ_where_dockers_do() -> None:
    rules = Rules(["dir/sub/*", "!dir"])
    assert not rules.ignored("dir/sub/x")
    state, left_out = None, False
    for path in ("dir", "dir/sub", "dir/sub/x"):
        left_out, state = rules.step(path, state)
    assert left_out


@pytest.mark.parametrize(
    ("rules", "directory", "may"),
    [
        ("foo", "foo", False),
        ("foo", "bar", True),
        ("foo\n!foo/a/b", "foo", True),
        ("foo\n!foo/a/b", "foo/a", True),
        ("foo\n!foo/a/b", "foo/c", False),
        ("foo\n!foo/*/b", "foo/c", True),
        ("foo\n!foo/*/b", "foo/c/d", False),
        ("foo\n!**/x", "foo/c/d", True),
        ("foo\n!bar/**/x", "foo/c/d", False),
        ("*\n!src", "docs", False),
        ("*\n!src", "src", True),
    ],
)
def test_walks_are_cut_short(rules: str, directory: str, may: bool) -> None:
    assert Rules.parse(rules).may_hold(directory) is may


def test_includes_are_cut_short() -> None:
    patterns = Patterns(["src/*.c", "lib/**/x", "[a]/b"])
    assert patterns.may_match_below("src")
    assert patterns.may_match_below(".")
    assert patterns.may_match_below("lib/a/b")
    assert patterns.may_match_below("other/deep") is True  # "[a]/b" is not taken apart
    assert Patterns(["src/*.c"]).may_match_below("doc") is False


@pytest.mark.parametrize("pattern", ["[", "[]", "a[b", "[a-]", "[-a]", "a\\", "!", "[^]", "\\p"])
def test_bad_patterns(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"syntax error in pattern|illegal exclusion"):
        Rules.parse(pattern)


def test_what_a_classic_builder_is_sent_in_any_case() -> None:
    rules = Rules(["*"]).keeping("Dockerfile", ".dockerignore")
    assert not rules.ignored("Dockerfile")
    assert not rules.ignored(".dockerignore")
    assert rules.ignored("other")
    few = Rules(["x"])
    assert few.keeping("Dockerfile") is few


def test_no_rules_at_all() -> None:
    assert not Rules().ignored("x")
    assert not Rules(["!x"]).ignored("x")
