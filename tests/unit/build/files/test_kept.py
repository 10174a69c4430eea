"""What is kept of clients' sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.build.files import kept
from pierhead.build.files.entries import Entry
from pierhead.build.files.kept import Known

FILE = 0o100644


def entry(path: bytes, pack: int, offset: int = 0, size: int = 4) -> Entry:
    return Entry(path, FILE, size=size, mtime_ns=5, digest=b"d" * 32, pack=pack, offset=offset)


def known(tmp_path: Path) -> Known:
    (tmp_path / "1").write_bytes(b"aaaabbbb")
    (tmp_path / "2").write_bytes(b"cccc")
    return Known({1: 8, 2: 4}, {1}, {e.path: e for e in (entry(b"a", 1), entry(b"c", 2))})


def test_what_is_saved_is_known_again(tmp_path: Path) -> None:
    kept.save(tmp_path, known(tmp_path))
    again = kept.load(tmp_path)
    assert again.segments == {1: 8, 2: 4}
    assert again.files[b"c"].pack == 2
    assert kept.load(tmp_path / "nothing").files == {}


def test_after_a_crash_only_what_was_synced_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.save(tmp_path, known(tmp_path))
    monkeypatch.setattr(kept, "boot_id", lambda: "another")
    again = kept.load(tmp_path)
    assert list(again.files) == [b"a"]
    assert again.segments == {1: 8}


def test_a_broken_index_is_none(tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(b"\x93junk")
    assert kept.load(tmp_path) == Known()


def test_only_a_whole_listing_drops_what_it_lacks(tmp_path: Path) -> None:
    both = known(tmp_path)
    kept.merge(both, [entry(b"x", 3)], 3, 4, whole=False)
    assert sorted(both.files) == [b"a", b"c", b"x"]
    kept.merge(both, [entry(b"x", 3)], 3, 4, whole=True)
    kept.save(tmp_path, both)
    assert list(both.segments) == [3]
    (tmp_path / "9").touch()
    kept.sweep(tmp_path, both.segments, before=9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["9", "index"]


def test_sameness_is_stat_and_link() -> None:
    one = entry(b"a", 1)
    assert kept.same(one, entry(b"a", 2))
    for field, value in (("size", 9), ("mtime_ns", 6), ("mode", 0o100755), ("link", b"l")):
        other = entry(b"a", 1)
        setattr(other, field, value)
        assert not kept.same(one, other)


def test_compacting_keeps_what_counts(tmp_path: Path) -> None:
    before = known(tmp_path)
    before.files[b"hard"] = entry(b"hard", 1)
    before.files[b"b"] = entry(b"b", 1, 4)
    after = kept.compact(tmp_path, before, 7)
    data = (tmp_path / "7").read_bytes()
    assert after.segments == {7: 12}
    assert {p: data[e.offset : e.offset + e.size] for p, e in after.files.items()} == {
        b"a": b"aaaa", b"hard": b"aaaa", b"b": b"bbbb", b"c": b"cccc",
    }  # fmt: skip


def test_waste(tmp_path: Path) -> None:
    assert not kept.wasteful(known(tmp_path))
    assert kept.wasteful(Known({1: 1 << 30}, set(), {b"a": entry(b"a", 1)}))
    assert kept.wasteful(Known(dict.fromkeys(range(30), 4), set(), {}))
