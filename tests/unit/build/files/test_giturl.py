"""Git URLs."""

from __future__ import annotations

import pytest

from pierhead.build.files import giturl
from pierhead.build.files.giturl import GitUrl
from pierhead.errors import InvalidParameter

COMMIT = "0123456789" * 4


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/x.git", GitUrl(remote="https://h/x.git")),
        ("git://h/x#v1:d/sub", GitUrl(remote="git://h/x", ref="v1", subdir="d/sub")),
        ("https://h/x.git#:../d", GitUrl(remote="https://h/x.git", subdir="d")),
        ("git@h:x/y.git#main", GitUrl(remote="git@h:x/y.git", ref="main")),
        ("github.com/a/b#r", GitUrl(remote="https://github.com/a/b", ref="r")),
        ("https://h/x.git?tag=v1", GitUrl(remote="https://h/x.git", ref="refs/tags/v1")),
        (
            "https://h/x.git?branch=b&subdir=/d&checksum=ab&keep-git-dir=1&submodules=false",
            GitUrl(
                remote="https://h/x.git", ref="refs/heads/b", subdir="d", checksum="ab",
                keep_git_dir=True, submodules=False,
            ),
        ),
        ("ssh://git@h:22/x", GitUrl(remote="ssh://git@h:22/x")),
    ],
)  # fmt: skip
def test_parsing(url: str, expected: GitUrl) -> None:
    assert giturl.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///x.git", "invalid protocol"), ("x.git", "not a git URL"),
        ("https://h/x.git?what=1", "unexpected query"), ("https://h/x.git#-f", "invalid git ref"),
        ("https://h/x.git?tag=a&branch=b", "branch conflicts with tag"),
        ("https://h/x.git?ref=a#b", "ref conflicts"), ("https://h/x.git?ref=", "has no value"),
        ("https://h/x.git?checksum=xyz", "invalid checksum"),
        ("https://h/x.git?keep-git-dir=maybe", "invalid keep-git-dir"),
    ],
)  # fmt: skip
def test_what_is_wrong(url: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        giturl.parse(url)


def test_what_is_a_repository() -> None:
    for url in ("https://h/x.git#r", "git://h/x", "ssh://h/x", "git@h:x"):
        assert giturl.is_git(url)
    for url in ("https://h/x.tar", "http://h/x.git.tar", "./x.git", "dir/file", "ftp://h/x.git"):
        assert not giturl.is_git(url)
    assert giturl.parse("git@h:x").is_ssh
    assert giturl.parse("https://u@h:8/x.git").host == "h:8"
    assert giturl.is_commit(COMMIT) and not giturl.is_commit(COMMIT[1:])


def test_picking_a_ref() -> None:
    tag = "9" * 40
    listing = "\n".join(
        [f"{COMMIT}\trefs/heads/x", f"{tag}\trefs/tags/x", f"{COMMIT}\trefs/tags/x^{{}}",
         f"{tag}\tHEAD"]
    )  # fmt: skip
    assert giturl.pick(listing, "x") == ("refs/heads/x", COMMIT, "")
    assert giturl.pick(listing, "refs/tags/x") == ("refs/tags/x", tag, COMMIT)
    assert giturl.pick(listing, "HEAD") == ("HEAD", tag, "")
    assert giturl.pick(listing, "y") == ("", "", "")


def test_passwords_are_not_shown() -> None:
    assert giturl.shown("https://me:secret@h:8/x.git") == "https://h:8/x.git"
    assert giturl.shown("ssh://git@h/x") == "ssh://git@h/x"
    assert giturl.shown("git@h:x") == "git@h:x"
