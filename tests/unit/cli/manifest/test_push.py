from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fake_cli import run
from support.lying import LyingRegistry, digest_of

from .conftest import Keep


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as liar:
        yield liar


def test_the_list_goes_after_what_it_lists(liar: LyingRegistry, tmp_path: Path) -> None:
    here = liar.add_image("app", "one", [b"layer"])
    there = liar.add_image("lib/app", "two", [b"other"])
    name, config = f"{liar.host}/app", str(tmp_path)
    run(
        f"manifest create {name}:1 {name}:one {liar.host}/lib/app:two",
        config_dir=config,
    )
    run(f"manifest annotate {name}:1 {liar.host}/lib/app:two --arch arm64", config_dir=config)
    result = run(f"manifest push {name}:1", config_dir=config)
    kind, data = liar.manifests["app", "1"]
    assert result.out == (f"Pushed ref {name}@{there} with digest: {there}\n{digest_of(data)}\n")
    assert ("app", there) in liar.manifests
    document = json.loads(data)
    assert kind == document["mediaType"]
    assert {
        entry["digest"]: entry["platform"]["architecture"] for entry in document["manifests"]
    } == {here: "amd64", there: "arm64"}
    assert (tmp_path / "manifests").exists() and list((tmp_path / "manifests").iterdir())
    assert run(f"manifest push -p {name}:1", config_dir=config).code == 0
    assert not list((tmp_path / "manifests").iterdir())


def test_blobs_that_can_not_be_mounted_end_it(liar: LyingRegistry, tmp_path: Path) -> None:
    liar.add_image("lib/app", "two", [b"other"])
    name, config = f"{liar.host}/app", str(tmp_path)
    run(f"manifest create {name}:1 {liar.host}/lib/app:two", config_dir=config)
    liar.blobs.clear()
    result = run(f"manifest push {name}:1", config_dir=config)
    assert result.code == 1 and result.err.startswith("error mounting lib/app@sha256:")
    assert ("app", "1") not in liar.manifests


def test_errors_are_dockers(keep: Keep, tmp_path: Path) -> None:
    missing = run("manifest push app:1", config_dir=str(tmp_path))
    assert (missing.code, missing.err) == (1, "No such manifest: docker.io/library/app:1\n")
    keep("r:5/app:1", "r:5/app:arm", "")
    result = run("manifest push r:5/app:1", config_dir=str(tmp_path))
    assert result.err == (
        "manifest r:5/app:arm must have an OS and Architecture to be pushed to a registry\n"
    )
    keep("app:1", "r:5/app:arm")
    result = run("manifest push app:1", config_dir=str(tmp_path))
    assert result.err == (
        "cannot use source images from a different registry than the target image: "
        "r:5 != docker.io\n"
    )
