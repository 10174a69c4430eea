"""Go's filepath.Match; cases from Go's own match_test.go."""

from __future__ import annotations

import pytest

from pierhead.build.files import globs
from pierhead.errors import InvalidParameter

CASES = [
    ("abc", "abc", True), ("*", "abc", True), ("*c", "abc", True), ("a*", "a", True),
    ("a*", "abc", True), ("a*", "ab/c", False), ("a*/b", "abc/b", True), ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", True), ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True), ("ab[c]", "abc", True), ("ab[b-d]", "abc", True),
    ("ab[e-g]", "abc", False), ("ab[^c]", "abc", False), ("ab[^b-d]", "abc", False),
    ("ab[^e-g]", "abc", True), ("a\\*b", "a*b", True), ("a\\*b", "ab", False),
    ("a?b", "a/b", False), ("a*b", "a/b", False), ("[\\]a]", "]", True), ("[\\-]", "-", True),
    ("[x\\-]", "z", False), ("[\\-x]", "a", False), ("*x", "xxx", True), ("[a-ζ]*", "a", True),
    ("[^a-d]", "/", False), (".*", "..", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "name", "matches"), CASES)
def test_matching(pattern: str, name: str, matches: bool) -> None:
    found = globs.compile_match(pattern.encode()).fullmatch(name.encode())
    assert bool(found) is matches


@pytest.mark.parametrize("pattern", ["[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "a\\"])
def test_broken_patterns(pattern: str) -> None:
    with pytest.raises(InvalidParameter, match="syntax error in pattern"):
        globs.compile_match(pattern.encode())


def test_splitting_off_what_is_fixed() -> None:
    assert globs.split(b"/a/b/*.c") == (b"a/b", b"*.c")
    assert globs.split(b"a/*/c/d") == (b"a", b"*/c/d")
    assert globs.split(b"a\\*/b") == (b"a\\*/b", b"")
    assert globs.has_wildcards(b"a?") and not globs.has_wildcards(b"a\\?")
