"""Where copied files go. Cases follow BuildKit's fsutil."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.build.files import modes
from pierhead.build.files.collect import Part, collect
from pierhead.build.files.entries import Entry
from pierhead.build.files.layout import Layout
from pierhead.build.files.tree import Tree
from pierhead.errors import InvalidParameter

DIR, FILE, LINK = 0o040755, 0o100644, 0o120777
S = 1_000_000_000

BASE = Tree(
    [
        Entry(b"etc", DIR, mtime_ns=3 * S),
        Entry(b"etc/conf", FILE, size=1),
        Entry(b"srv", 0o040750, 7, 8, mtime_ns=4 * S),
        Entry(b"www", LINK, link=b"/srv"),
        Entry(b"fileln", LINK, link=b"etc/conf"),
    ]
)
CONTEXT = Tree(
    [
        Entry(b"d", 0o040700, 1000, 1000, mtime_ns=9 * S),
        Entry(b"d/f", 0o100640, 1000, 1000, 3, mtime_ns=6 * S),
        Entry(b"d/s", DIR, mtime_ns=5 * S),
        Entry(b"d/s/l", LINK, link=b"f"),
        Entry(b"one", FILE, size=1, mtime_ns=7 * S),
    ]
)


def lay(source: str, to: str, base: Tree | None = BASE, **fields: Any) -> dict[str, Entry]:
    layout = Layout(base, **fields)
    for part in collect(CONTEXT, source.split()):
        layout.add(part, to, 0)
    return {member.path.decode(): member.entry for member in layout.members()}


def test_a_file_into_a_directory() -> None:
    for to in ("/srv", "/srv/", "/www/", "/srv/."):
        assert list(lay("one", to)) == ["srv", "srv/one"]
    assert lay("one", "/srv")["srv"].mode == 0o040750
    assert lay("one", "/srv")["srv"].mtime_ns == 4 * S


def test_a_file_to_a_name() -> None:
    assert list(lay("one", "/new")) == ["new"]
    assert list(lay("one", "/etc/conf")) == ["etc", "etc/conf"]
    assert list(lay("one", "/fileln")) == ["etc", "etc/conf"]
    assert list(lay("one", "/a/b/")) == ["a", "a/b", "a/b/one"]


def test_a_directorys_content() -> None:
    found = lay("d", "/x/y")
    assert list(found) == ["x", "x/y", "x/y/f", "x/y/s", "x/y/s/l"]
    assert found["x/y"].mode == DIR
    assert found["x/y"].mtime_ns == 6 * S
    assert found["x/y/f"].mode == 0o100640
    assert (found["x/y/f"].uid, found["x/y/s"].mtime_ns) == (0, 5 * S)
    assert list(lay("d", "/")) == ["f", "s", "s/l"]


def test_owners_and_modes() -> None:
    found = lay("d", "/x/", owner=(3, 4), chmod=modes.parse("600"))
    assert {(entry.uid, entry.gid) for entry in found.values()} == {(3, 4)}
    assert oct(found["x"].mode) == oct(0o040755)
    assert oct(found["x/s"].mode) == oct(0o040600)
    assert found["x/s/l"].mode == LINK
    assert lay("d", "/x", keep_owner=True)["x/f"].uid == 1000
    assert oct(lay("d", "/x", chmod=modes.parse("go="))["x/f"].mode) == oct(0o100600)


def test_no_time_is_later_than_the_epoch() -> None:
    assert {entry.mtime_ns for entry in lay("d", "/srv", epoch_s=2).values()} == {0, 2 * S}


def test_what_can_not_be() -> None:
    with pytest.raises(InvalidParameter, match="cannot copy to non-directory: /etc/conf"):
        lay("d", "/etc/conf")
    with pytest.raises(InvalidParameter, match="mkdir /etc/conf: not a directory"):
        lay("one", "/etc/conf/")
    with pytest.raises(InvalidParameter, match="mkdir /etc/conf: not a directory"):
        lay("one", "/etc/conf/below")
    with pytest.raises(InvalidParameter, match="cannot replace to directory /srv with file"):
        Layout(BASE).add(Part(b"srv", False, [Entry(b"", FILE)]), "/", 0)
    with pytest.raises(InvalidParameter, match="can't be in an image"):
        Layout(BASE).add(Part(b".wh.x", False, [Entry(b"", FILE)]), "/srv/", 0)


def test_links_within_what_is_copied_are_replaced_and_not_followed() -> None:
    layout = Layout(BASE)
    layout.add(Part(b"", True, [Entry(b"www", DIR), Entry(b"www/x", FILE)]), "/", 0)
    assert [member.path for member in layout.members()] == [b"www", b"www/x"]


def test_without_a_base_directories_above_are_left_as_they_may_be() -> None:
    assert list(lay("one", "/tmp/x", base=None)) == ["tmp/x"]
    assert list(lay("one", "/tmp/", base=None)) == ["tmp/one"]
    assert list(lay("d", "/opt/app/", base=None, owner=(5, 5))) == [
        "opt/app", "opt/app/f", "opt/app/s", "opt/app/s/l",
    ]  # fmt: skip


def test_archives_bring_their_own_modes_and_follow_links() -> None:
    layout = Layout(BASE)
    layout.add_archive(
        [
            Entry(b"", 0o040711, 1, 1),
            Entry(b"a/b", 0o100600, 5, 6),
            Entry(b"etc/x", FILE),
        ],
        "/www",
        2,
    )
    found = {member.path.decode(): member.entry for member in layout.members()}
    assert list(found) == ["srv", "srv/a", "srv/a/b", "srv/etc", "srv/etc/x"]
    assert oct(found["srv"].mode) == oct(0o040750)
    assert oct(found["srv/a"].mode) == oct(0o040755)
    assert (found["srv/a/b"].uid, found["srv/a/b"].gid) == (5, 6)


def test_a_later_file_replaces_an_earlier_directory() -> None:
    layout = Layout(None)
    layout.add(Part(b"", True, [Entry(b"x", DIR), Entry(b"x/y", FILE)]), "/", 0)
    layout.add(Part(b"", True, [Entry(b"x", FILE)]), "/", 1)
    assert [member.path for member in layout.members()] == [b"x"]


def test_directories_in_a_set_group_directory() -> None:
    base = Tree([Entry(b"g", 0o042775, 7, 8)])
    found = lay("one", "/g/a/b", base=base)
    assert (oct(found["g/a"].mode), found["g/a"].gid) == (oct(0o042755), 8)
    assert (oct(found["g/a/b"].mode), found["g/a/b"].gid) == (oct(0o100644), 0)


def test_the_classic_builders_ways() -> None:
    layout = Layout(BASE, classic=True, owner=(9, 9))
    layout.add(Part(b"suid", False, [Entry(b"", 0o106755)]), "/x", 0)
    layout.add_archive([Entry(b"f", 0o104755, 5, 6)], "/y", 0)
    found = {member.path.decode(): member.entry for member in layout.members()}
    assert oct(found["x"].mode) == oct(0o100755)
    assert (oct(found["y/f"].mode), found["y/f"].uid) == (oct(0o104755), 5)
    assert found["y"].uid == 0
    layout = Layout(BASE, classic=True, chmod=modes.parse("4711"))
    layout.add(Part(b"suid", False, [Entry(b"", 0o106755)]), "/x", 0)
    assert oct(layout.members()[0].entry.mode) == oct(0o104711)


def test_what_the_classic_builder_owns_of_new_directories() -> None:
    found = lay("d", "/x/y", classic=True, owner=(7, 7))
    assert (found["x"].uid, found["x/y"].uid) == (0, 7)
    found = lay("one", "/x/y/", classic=True, owner=(7, 7))
    assert (found["x"].uid, found["x/y"].uid) == (7, 7)
    base = Tree([Entry(b"g", 0o042775, 7, 8)])
    assert lay("one", "/g/a/", base=base, classic=True)["g/a"].gid == 0
