"""Paths, downloads and repositories told apart."""

from __future__ import annotations

import pytest

from pierhead.build.plan import urls


@pytest.mark.parametrize(
    ("text", "git", "http"),
    [
        ("https://example.org/a.tar.gz", False, True),
        ("http://example.org/a.git", True, False),
        ("https://example.org/a.git#main:sub", True, False),
        ("https://example.org/a.git?ref=main", True, False),
        ("https://example.org/a.github", False, True),
        ("git@github.com:x/y.git", True, False),
        ("ssh://git@host/x", True, False),
        ("git://host/x", True, False),
        ("github.com/x/y", False, False),
        ("a/b:c", False, False),
        ("user@file", False, False),
    ],
)
def test_words_of_add(text: str, git: bool, http: bool) -> None:
    assert urls.is_git(text) is git
    assert urls.is_http(text) is http


def test_contexts() -> None:
    assert urls.is_git_context("github.com/x/y")
    assert urls.is_remote("https://example.org/context.tar")
    assert not urls.is_remote("context")
