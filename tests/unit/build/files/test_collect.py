"""Which files a COPY means."""

from __future__ import annotations

import hashlib

import pytest

from pierhead.build.files.collect import Part, collect, digest
from pierhead.build.files.entries import Entry
from pierhead.build.files.tree import Tree
from pierhead.errors import InvalidParameter, NotFound

DIR, FILE, LINK = 0o040755, 0o100644, 0o120777


def tree(*paths: str, links: dict[str, str] | None = None) -> Tree:
    """Files at these paths ("/" at the end: a directory), and symlinks."""
    entries = []
    for path in paths:
        if path.endswith("/"):
            entries.append(Entry(path.rstrip("/").encode(), DIR))
        else:
            data = path.encode()
            entries.append(
                Entry(data, FILE, size=len(data), digest=hashlib.sha256(data).digest(), pack=0)
            )
    for path, target in (links or {}).items():
        entries.append(Entry(path.encode(), LINK, link=target.encode()))
    return Tree(entries)


def names(parts: list[Part]) -> list[str]:
    """What would be at the destination: a file's name, or paths within."""
    return sorted(
        entry.path.decode() or part.name.decode() for part in parts for entry in part.entries
    )


def test_a_directory_means_what_is_in_it() -> None:
    context = tree("a/x", "a/b/y", "z")
    assert names(collect(context, ["a"])) == ["b", "b/y", "x"]
    assert names(collect(context, ["/a/"])) == ["b", "b/y", "x"]
    assert names(collect(context, ["."])) == ["a", "a/b", "a/b/y", "a/x", "z"]
    assert names(collect(context, ["../../z"])) == ["z"]


def test_what_is_not_there_is_an_error_unless_it_is_a_wildcard() -> None:
    context = tree("a/x")
    with pytest.raises(NotFound, match=r'^"/no/thing": not found$'):
        collect(context, ["no/thing"])
    assert collect(context, ["no*"]) == []
    assert collect(context, ["a/*.txt"]) == []


def test_wildcards_are_matched_level_by_level() -> None:
    context = tree("hom1", "home/x", "other", "d/e/f.txt", "d/g/f.txt", "d/f.txt")
    assert names(collect(context, ["hom*"])) == ["hom1", "x"]
    assert names(collect(context, ["d/*/f.txt"])) == ["f.txt", "f.txt"]
    assert names(collect(context, ["d/[e-f]/*"])) == ["f.txt"]
    assert names(collect(context, ["hom?"])) == ["hom1", "x"]
    with pytest.raises(InvalidParameter, match="syntax error in pattern"):
        collect(context, ["[a"])


def test_links_in_a_source_are_followed_inside() -> None:
    context = tree("real/x", links={"l": "real", "out": "../../../real", "real/in": "x"})
    assert names(collect(context, ["l"])) == ["in", "x"]
    assert names(collect(context, ["out/x"])) == ["x"]
    part = collect(context, ["real"])[0]
    assert [entry.link for entry in part.entries] == [b"x", b""]
    with pytest.raises(InvalidParameter, match="too many links"):
        collect(tree(links={"a": "b", "b": "a"}), ["a"])


def test_excluded_files_and_their_directories_stay_out() -> None:
    context = tree("d/a.txt", "d/b.md", "d/s/c.txt", "d/t/e.md", "e.txt")
    assert names(collect(context, ["d"], exclude=["**/*.txt"])) == ["b.md", "s", "t", "t/e.md"]
    assert names(collect(context, ["d"], exclude=["s"])) == ["a.txt", "b.md", "t", "t/e.md"]
    assert names(collect(context, ["d"], exclude=["*", "!t/e.md"])) == ["t", "t/e.md"]
    assert names(collect(context, ["*.txt"], exclude=["*.txt"])) == []


BUILDKIT_TREE = (
    "test/a/b/c/d/foo", "test/a/b/c/d/e/bay", "test/a/b2/c/d/e/bar",
    "test/a/b/c2/d/e/baz", "test/a/b/c2/d/e2/baz",
)  # fmt: skip


@pytest.mark.parametrize(
    ("sources", "there", "gone"),
    [
        (["/test/a/b/./c/d"], ["c/d/e", "c/d/foo"], ["a", "e"]),
        (["/test/a/b/c/d/."], ["test/a/b/c/d/e", "test/a/b/c/d/foo"], []),
        (["./test/a/b/c/d"], ["test/a/b/c/d/e", "test/a/b/c/d/foo"], []),
        (["/test/a/./b/./c"], ["b/c/d/e", "b/c/d/foo"], ["b/c2"]),
        (["/test/a/./*/c"], ["b/c/d/e", "b2/c/d/e/bar"], ["b/c2"]),
        (["/test/a/b*/./c/**/e"], ["c/d/e", "c/d/e/bay", "c/d/e/bar"], ["c/d/foo"]),
        (
            ["/test/a/b/c*/./d/**/baz", "/test/a/b*/./c/**/bar"],
            ["d/e/baz", "d/e2/baz", "c/d/e/bar"],
            ["d/e/bay"],
        ),
        (["/test/a/b2*/c2"], [], ["test"]),
        (["/test/a/b/./c3*"], [], ["c"]),
    ],
)
def test_parents(sources: list[str], there: list[str], gone: list[str]) -> None:
    """The cases are BuildKit's (dockerfile_parents_test.go)."""
    found = names(collect(tree(*BUILDKIT_TREE), sources, parents=True))
    assert [path for path in there if path not in found] == []
    assert [path for path in gone if path in found] == []


def test_parents_of_what_is_not_there() -> None:
    with pytest.raises(NotFound):
        collect(tree(*BUILDKIT_TREE), ["/test/nonexistent-file"], parents=True)


def test_the_digest_counts_content_and_modes_and_no_times() -> None:
    def of(**changed: object) -> str:
        entry = Entry(b"f", FILE, size=1, digest=b"d" * 32, mtime_ns=5)
        for name, value in changed.items():
            setattr(entry, name, value)
        parts = collect(Tree([entry]), ["."])
        return digest(parts, keep_owner=False)[0]

    assert of() == of(mtime_ns=7) == of(uid=9) == of(offset=77)
    assert len({of(), of(mode=0o100600), of(digest=b"e" * 32), of(xattrs={b"user.a": b"1"})}) == 4


def test_the_digest_counts_owners_where_they_are_kept() -> None:
    parts = collect(Tree([Entry(b"f", FILE, uid=3, size=1, digest=b"d" * 32)]), ["."])
    assert digest(parts, keep_owner=True) != digest(parts, keep_owner=False)
    assert digest(parts, keep_owner=True)[1:] == (1, 1)
