from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pierhead.cli.buildx.imagetools import Found, combine, platform_text, pretty
from pierhead.cli.errors import CliError
from pierhead.cli.manifest.record import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    named,
)
from support.fake_cli import run
from support.lying import LyingRegistry


def image(digest: str, arch: str, media_type: str = OCI_MANIFEST) -> Found:
    found = Found(named("r.example/a"), media_type, digest, b"{}")
    found.platform = {"architecture": arch, "os": "linux"}
    return found


def test_an_index_of_images() -> None:
    data, media_type = combine(
        [image("a", "amd64"), image("b", "arm64"), image("a", "amd64")],
        {"index:k": "v", "manifest-descriptor[linux/arm64]:d": "w", "plain": "x"},
        [],
        prefer_index=True,
    )
    document = json.loads(data)
    assert media_type == OCI_INDEX == document["mediaType"]
    assert [one["digest"] for one in document["manifests"]] == ["a", "b"]
    assert document["annotations"] == {"k": "v", "plain": "x"}
    assert document["manifests"][1]["annotations"] == {"d": "w"}


def test_docker_stays_docker_and_one_stays_one() -> None:
    both = [image("a", "amd64", DOCKER_MANIFEST), image("b", "arm64", DOCKER_MANIFEST)]
    assert combine(both, {}, [], prefer_index=True)[1] == DOCKER_LIST
    assert combine(both[:1], {}, [], prefer_index=False) == (b"{}", DOCKER_MANIFEST)
    assert combine(both[:1], {}, [], prefer_index=True)[1] == DOCKER_LIST
    index = Found(named("x"), OCI_INDEX, "i", b'{"manifests":[]}')
    assert combine([index], {}, [], prefer_index=True) == (index.data, OCI_INDEX)


def test_platforms_and_their_attestations() -> None:
    entries = [
        {"digest": "a", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "b", "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": "c", "annotations": {"vnd.docker.reference.digest": "a"}},
    ]
    index = Found(named("x"), OCI_INDEX, "i", json.dumps({"manifests": entries}).encode())
    data, _ = combine([index], {}, ["linux/amd64"], prefer_index=True)
    assert [one["digest"] for one in json.loads(data)["manifests"]] == ["a", "c"]
    with pytest.raises(CliError, match="no manifests match"):
        combine([index], {}, ["linux/s390x"], prefer_index=True)
    with pytest.raises(CliError, match="manifest annotations are not supported"):
        combine([index], {"manifest:x": "y"}, [], prefer_index=True)


def test_layout() -> None:
    entries = [{"digest": "a", "mediaType": "m", "platform": {"os": "linux", "architecture": "x"}}]
    index = Found(named("r.example/a"), OCI_INDEX, "i", json.dumps({"manifests": entries}).encode())
    assert pretty(index).splitlines()[4:] == [
        "Manifests: ",
        "  Name:        r.example/a:latest@a",
        "  MediaType:   m",
        "  Platform:    linux/x",
    ]
    assert platform_text({"os": "linux", "architecture": "arm", "variant": "v7"}) == "linux/arm/v7"


@pytest.fixture
def registry() -> Iterator[LyingRegistry]:
    with LyingRegistry() as started:
        yield started


def test_against_a_registry(registry: LyingRegistry) -> None:
    digest = registry.add_image("app", "1", [b"layer"])
    name = f"{registry.host}/app:1"
    assert digest in run(f"buildx imagetools inspect {name}").out
    assert run(f"buildx imagetools inspect --format '{{{{.Manifest.digest}}}}' {name}").out == (
        digest + "\n"
    )
    assert '"config"' in run(f"buildx imagetools inspect --raw {name}").out
    shown = run(f"buildx imagetools create --dry-run {name}")
    [entry] = json.loads(shown.out)["manifests"]
    assert entry["digest"] == digest and entry["platform"]["architecture"] == "amd64"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("buildx imagetools create --dry-run", "no sources specified"),
        ("buildx imagetools create a", "can't push with no tags specified"),
        ("buildx imagetools create -t r.example/a b", "several registries"),
        ("buildx imagetools create -t a -f x b", "--file is not implemented yet"),
        ("buildx imagetools create -t a --annotation x b", "failed to parse annotations"),
    ],
)
def test_complaints(line: str, told: str) -> None:
    result = run(line)
    assert result.code == 1 and told in result.err
