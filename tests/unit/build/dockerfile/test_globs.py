from __future__ import annotations

import itertools
import re

import pytest

from pierhead.build.dockerfile import globs


def slow(pattern: str, text: str, longest: bool) -> int:
    """The same by ``re``, which tries everything."""
    star = ".*" if longest else ".*?"
    parts = (star if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    match = re.match("".join(parts), text)
    return match.end() if match else -1


def test_prefixes_agree_with_regular_expressions() -> None:
    patterns = ["".join(chars) for n in range(5) for chars in itertools.product("ab*?", repeat=n)]
    texts = ["".join(chars) for n in range(5) for chars in itertools.product("ab", repeat=n)]
    for pattern in patterns:
        glob = globs.Glob.parse(pattern)
        for text in texts:
            for longest in (False, True):
                end = glob.end_of_prefix(text, longest=longest)
                assert end == slow(pattern, text, longest), (pattern, text, longest)


def test_replacing_agrees_with_regular_expressions() -> None:
    patterns = [
        "".join(chars) for n in range(1, 4) for chars in itertools.product("ab?*", repeat=n)
    ]
    texts = ["".join(chars) for n in range(5) for chars in itertools.product("abc", repeat=n)]
    for pattern in patterns:
        if not pattern.strip("*"):
            continue  # empty matches: Go and Python count them otherwise
        regex = "".join(".*" if char == "*" else "." if char == "?" else char for char in pattern)
        for text in texts:
            assert globs.replace(pattern, text, "-", every=True) == re.sub(regex, "-", text)
            assert globs.replace(pattern, text, "-", every=False) == re.sub(
                regex, "-", text, count=1
            )


def test_empty_matches_count_as_in_go() -> None:
    assert globs.replace("", "ab", "-", every=True) == "-a-b-"
    assert globs.replace("", "ab", "-", every=False) == "-ab"
    assert globs.replace("*", "ab", "-", every=True) == "-"
    assert globs.replace("*", "", "-", every=True) == "-"


def test_escapes() -> None:
    assert globs.trim_prefix("\\*\\?\\\\", "*?\\x", longest=False) == "x"
    assert globs.trim_suffix("\\*", "x*", longest=True) == "x"
    assert globs.trim_prefix("a\\/b\\}", "a/b}c", longest=False) == "c"
    for bad in ("\\", "\\x", "a\\"):
        with pytest.raises(globs.PatternSyntax, match=r"invalid escape"):
            globs.replace(bad, "x", "", every=False)
