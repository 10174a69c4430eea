from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.errors import Unavailable
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import choose
from pierhead.store.snapshots.choose import Choice, panics
from pierhead.store.snapshots.mode import ErofsMode

MODE = ErofsMode(loop=False, detached=True)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "data", tmp_path / "exec")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "db")
    yield database
    database.close()


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "probe", lambda paths: (MODE, ""))


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "probe", lambda paths: (None, "the kernel has no EROFS"))


def hold(db: Database, driver: str) -> None:
    db.execute(
        "INSERT INTO layers (chain_id, diff_id, size_bytes, driver) VALUES ('c', 'd', 1, ?)",
        (driver,),
    )
    db.execute("INSERT INTO snapshots (key, driver, created_ns) VALUES (?, ?, 1)", (driver, driver))


def test_the_best_that_works(works: None, paths: Paths, db: Database) -> None:
    choice = choose.choose("", paths, db)
    assert (choice.driver, choice.mode) == ("erofs", MODE)
    assert ["Layers", "mounted, file-backed"] in choice.status
    assert choose.choose("erofs", paths, db) == Choice("erofs", "asked for", MODE)
    assert choose.choose("overlay2", paths, db) == Choice("overlay2", "asked for")


def test_directories_where_erofs_does_not_work(fails: None, paths: Paths, db: Database) -> None:
    choice = choose.choose("", paths, db)
    assert choice == Choice("overlay2", "no erofs: the kernel has no EROFS")
    assert ["Supports d_type", "true"] in choice.status
    with pytest.raises(Unavailable, match="doesn't work here: the kernel has no EROFS"):
        choose.choose("erofs", paths, db)


def test_what_a_data_root_holds_decides(works: None, paths: Paths, db: Database) -> None:
    hold(db, "overlay2")
    assert choose.choose("", paths, db) == Choice("overlay2", "the data root's")
    assert choose.choose("overlay2", paths, db).driver == "overlay2"
    with pytest.raises(Unavailable, match=r"holds 1 container and 1 layer of the driver overlay2"):
        choose.choose("erofs", paths, db)


def test_erofs_layers_under_a_kernel_without_it(fails: None, paths: Paths, db: Database) -> None:
    hold(db, "erofs")
    with pytest.raises(Unavailable, match="boot a kernel that can"):
        choose.choose("", paths, db)


@pytest.mark.parametrize(
    ("release", "bad"),
    [
        ("6.12.0", True),
        ("6.12.1-arch1", True),
        ("6.12-rc7", True),
        ("6.12.2", False),
        ("6.12.10", False),
        ("6.1.0-49-amd64", False),
        ("6.18.44-fc-v782", False),
        ("odd", False),
    ],
)
def test_kernels_that_panic(release: str, bad: bool) -> None:
    assert panics(release) is bad


def test_modes_in_words() -> None:
    assert str(ErofsMode(loop=True, detached=False)) == "loop"
