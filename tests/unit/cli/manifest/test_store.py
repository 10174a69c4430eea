from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.manifest.record import named
from pierhead.cli.manifest.store import Missing, Store

from .conftest import Keep, image


def test_files_lie_where_docker_looks_for_them(store: Store, tmp_path: Path) -> None:
    store.save(named("r:5000/app:1"), named("r:5000/app:arm"), image("r:5000/app:arm"))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [
        "manifests/r-5000_app-1/r-5000_app-arm"
    ]


def test_images_come_by_the_names_of_their_files(store: Store, keep: Keep) -> None:
    keep("app:1", "app:s390x")
    keep("app:1", "app:arm")
    keep("other:1", "app:x")
    assert [record.ref for record in store.all(named("app:1"))] == [
        "docker.io/library/app:arm",
        "docker.io/library/app:s390x",
    ]


def test_what_is_missing_is_named(store: Store, keep: Keep) -> None:
    with pytest.raises(Missing, match=r"^No such manifest: docker.io/library/app:1$"):
        store.all(named("app:1"))
    keep("app:1", "app:arm")
    with pytest.raises(Missing, match=r"^No such manifest: docker.io/library/app:x$"):
        store.get(named("app:1"), named("app:x"))


def test_removed_lists_are_gone(store: Store, keep: Keep, tmp_path: Path) -> None:
    keep("app:1", "app:arm")
    store.remove(named("app:1"))
    store.remove(named("app:1"))
    assert not list((tmp_path / "manifests").iterdir())


def test_files_that_can_not_be_written_are_an_error(store: Store, tmp_path: Path) -> None:
    (tmp_path / "manifests").write_text("in the way")
    with pytest.raises(CliError, match="manifests"):
        store.save(named("app:1"), named("app:arm"), image("app:arm"))
