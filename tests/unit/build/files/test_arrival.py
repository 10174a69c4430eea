"""Listings against what is known."""

from __future__ import annotations

import pytest

from pierhead.build.files.arrival import Arrival
from pierhead.build.files.entries import EMPTY, Entry
from pierhead.build.model import FileStat
from pierhead.errors import InvalidParameter

DIR, FILE, LINK, SOCKET = 0o040755, 0o100644, 0o120777, 0o140755
KNOWN = {
    b"same": Entry(b"same", FILE, size=4, mtime_ns=5, digest=b"s" * 32, pack=7, offset=9),
    b"gone": Entry(b"gone", FILE, size=4, mtime_ns=5, digest=b"g" * 32, pack=7, offset=20),
}


def arrive(*files: FileStat) -> Arrival:
    arrival = Arrival(KNOWN)
    for each in files:
        arrival.add(each)
    arrival.link()
    return arrival


def test_only_what_changed_is_missing() -> None:
    arrival = arrive(
        FileStat(path=b"d", mode=DIR),
        FileStat(path=b"d/new", mode=FILE, size=3),
        FileStat(path=b"empty", mode=FILE),
        FileStat(path=b"l", mode=LINK, size=4, link=b"same"),
        FileStat(path=b"same", mode=FILE, size=4, mtime_ns=5),
        FileStat(path=b"sock", mode=SOCKET),
    )
    assert [entry.path for entry in arrival.missing] == [b"d/new"]
    assert arrival.missing_bytes == 3
    assert arrival.entries[b"same"].pack == 7
    assert arrival.entries[b"empty"].digest == EMPTY
    assert arrival.entries[b"l"].link == b"same"
    assert (arrival.transfer.files_listed, arrival.transfer.ignored) == (5, 1)
    assert arrival.gone()
    assert [entry.path for entry in arrival.reusable()] == [b"same"]


@pytest.mark.parametrize("change", [{"size": 5}, {"mtime_ns": 6}, {"mode": 0o100755}], ids=str)
def test_any_difference_counts(change: dict[str, int]) -> None:
    fields = {"path": b"same", "mode": FILE, "size": 4, "mtime_ns": 5} | change
    assert len(arrive(FileStat(**fields)).missing) == 1  # type: ignore[arg-type]


def test_names_of_one_file() -> None:
    arrival = arrive(
        FileStat(path=b"a", mode=FILE, size=3),
        FileStat(path=b"b", mode=FILE, size=3, link=b"a", hard_link=True),
        FileStat(path=b"c", mode=FILE, size=3, link=b"a", hard_link=True),
    )
    assert [entry.path for entry in arrival.missing] == [b"a"]
    a = arrival.entries[b"a"]
    a.digest, a.pack, a.offset = b"d" * 32, 3, 0
    arrival.settle()
    assert {(e.inode, e.digest, e.pack) for e in arrival.entries.values()} == {(1, b"d" * 32, 3)}
    assert [entry.path for entry in arrival.reusable()] == [b"a"]


def test_names_of_a_file_whose_first_name_is_not_wanted() -> None:
    arrival = arrive(
        FileStat(path=b"b", mode=FILE, size=3, link=b"ignored", hard_link=True),
        FileStat(path=b"c", mode=FILE, size=3, link=b"ignored", hard_link=True),
    )
    assert [entry.path for entry in arrival.missing] == [b"b"]
    assert sorted(arrival.entries) == [b"b", b"c"]
    assert arrival.entries[b"b"].inode == arrival.entries[b"c"].inode != 0


def test_a_lost_segment() -> None:
    arrival = arrive(FileStat(path=b"same", mode=FILE, size=4, mtime_ns=5))
    arrival.lost(7)
    assert [entry.path for entry in arrival.missing] == [b"same"]
    assert arrival.entries[b"same"].pack == -1


@pytest.mark.parametrize(
    "files",
    [
        [FileStat(path=b"../x", mode=FILE)],
        [FileStat(path=b"x", mode=FILE, size=-5)],
        [FileStat(path=b"x", mode=FILE, link=b"../y", hard_link=True)],
        [FileStat(path=b"d", mode=DIR), FileStat(path=b"x", mode=FILE, link=b"d")],
    ],
)
def test_hostile(files: list[FileStat]) -> None:
    with pytest.raises(InvalidParameter):
        arrive(*files)
