from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.cli.manifest.record import named
from pierhead.cli.manifest.store import Store
from support.fake_cli import run
from support.lying import LyingRegistry

from .conftest import Keep


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as liar:
        yield liar


def test_images_are_looked_up_and_kept(liar: LyingRegistry, store: Store, tmp_path: Path) -> None:
    digest = liar.add_image("app", "one", [b"layer"])
    liar.add_image("lib/app", "two", [b"other"])
    name = f"{liar.host}/app"
    line = f"manifest create {name}:1 {name}:one {liar.host}/lib/app:two"
    result = run(line, config_dir=str(tmp_path))
    assert (result.code, result.out) == (0, f"Created manifest list {name}:1\n")
    one = store.get(named(f"{name}:1"), named(f"{name}:one"))
    assert one.digest == digest and one.platform == {"architecture": "amd64", "os": "linux"}
    again = run(line, config_dir=str(tmp_path))
    assert again.code == 1
    assert again.err == "refusing to amend an existing manifest list with no --amend flag\n"
    liar.requests.clear()
    assert run(f"{line} --amend", config_dir=str(tmp_path)).code == 0
    assert not liar.requests  # known ones aren't asked for again


def test_errors_are_dockers(liar: LyingRegistry, keep: Keep, tmp_path: Path) -> None:
    name = f"{liar.host}/app"
    missing = run(f"manifest create {name}:1 {name}:none", config_dir=str(tmp_path))
    assert (missing.code, missing.err) == (1, f"no such manifest: {name}:none\n")
    bad = run("manifest create BAD:1 x:1", config_dir=str(tmp_path))
    assert bad.err.startswith("error parsing name for manifest list BAD:1: ")
    bad = run("manifest create x:1 BAD", config_dir=str(tmp_path))
    assert bad.err.startswith("invalid reference format")
