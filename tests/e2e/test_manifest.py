"""docker manifest and pier manifest: lists in a registry, and each other's files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.archives import docker_archive, layer
from support.command import Command
from support.http import Api
from support.registries import DockerRegistry, registry

pytestmark = pytest.mark.root

LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def repository(
    hub: DockerRegistry, docker: Command, unique: Callable[[str], str], api: Api
) -> Iterator[str]:
    """With the tags ``amd64`` and ``arm64``; both are gone from the daemon again."""
    name = f"{hub.host}/e2e/{unique('list')}"
    for architecture in ("amd64", "arm64"):
        tagged = f"{name}:{architecture}"
        data = layer({"name": tagged.encode()})
        docker("load", input=docker_archive(tagged, [data], architecture=architecture))
        docker("push", tagged)
        api.delete(f"/images/{tagged}?force=1")
    yield name
    for tag in ("all", "amd64", "arm64"):
        api.delete(f"/images/{name}:{tag}?force=1")


def test_a_list_is_made_annotated_pushed_and_pulled(
    alone: Command, repository: str, api: Api
) -> None:
    target, one, other = (f"{repository}:{tag}" for tag in ("all", "amd64", "arm64"))
    made = alone("manifest", "create", "--insecure", target, one, other)
    assert made.out == f"Created manifest list {target}"
    refused = alone("manifest", "create", "--insecure", target, one, check=False)
    assert refused.returncode == 1
    refused.says("refusing to amend an existing manifest list with no --amend flag")
    alone("manifest", "annotate", target, other, "--variant", "v8", "--os-features", "a,b")
    here = json.loads(alone("manifest", "inspect", target).stdout)
    assert here["mediaType"] == LIST
    platforms = [entry["platform"] for entry in here["manifests"]]
    assert platforms == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "os.features": ["a", "b"], "variant": "v8"},
    ]
    digest = alone("manifest", "push", "--insecure", "--purge", target).lines[-1]
    there = alone("manifest", "inspect", "--insecure", target)
    assert json.loads(there.stdout) == here
    alone("pull", target)
    found = api.get(f"/images/{target}/json").json
    assert found["Architecture"] == "amd64"
    assert f"{repository}@{digest}" in found["RepoDigests"]


def test_one_manifest(alone: Command, repository: str) -> None:
    shown = alone("manifest", "inspect", "--insecure", f"{repository}:amd64")
    document = json.loads(shown.stdout)
    assert len(document["layers"]) == 1 and shown.lines[1].startswith("\t")
    verbose = json.loads(
        alone("manifest", "inspect", "-v", "--insecure", f"{repository}:amd64").stdout
    )
    assert verbose["Ref"] == f"{repository}:amd64"
    assert verbose["Descriptor"]["platform"] == {"architecture": "amd64", "os": "linux"}
    missing = alone("manifest", "inspect", "--insecure", f"{repository}:none", check=False)
    assert missing.returncode == 1
    missing.says(f"no such manifest: {repository}:none")


def test_remove(alone: Command, repository: str) -> None:
    alone("manifest", "create", "--insecure", f"{repository}:all", f"{repository}:amd64")
    alone("manifest", "rm", f"{repository}:all")
    gone = alone("manifest", "rm", f"{repository}:all", check=False)
    assert gone.returncode == 1
    gone.says(f"No such manifest: {repository}:all")


def test_pier_and_docker_say_the_same(
    docker: Command, pier: Command, repository: str, tmp_path: Path
) -> None:
    """Byte for byte, about what is here and what is there, and one finishes what one began."""
    env = {"DOCKER_CONFIG": str(tmp_path / "config")}
    target = f"{repository}:all"
    docker("manifest", "create", "--insecure", target, f"{repository}:amd64", env=env)
    pier("manifest", "create", "--amend", "--insecure", target, f"{repository}:arm64", env=env)
    for words in (
        (target,),
        ("-v", target),
        (target, f"{repository}:arm64"),
        ("-v", target, f"{repository}:amd64"),
        ("--insecure", f"{repository}:arm64"),
        ("-v", "--insecure", f"{repository}:arm64"),
    ):
        mine, theirs = (each("manifest", "inspect", *words, env=env) for each in (pier, docker))
        assert mine.stdout == theirs.stdout, words
    first = pier("manifest", "push", "--insecure", target, env=env)
    assert docker("manifest", "push", "--insecure", target, env=env).stdout == first.stdout
