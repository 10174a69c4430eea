"""skopeo and podman take what we pushed, we take what they pushed; digests stay; and search."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from support.archives import docker_archive, layer
from support.command import Command
from support.daemon import Pierd
from support.http import Api
from support.registries import DockerRegistry, LyingRegistry, need, registry

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def repository(hub: DockerRegistry, unique: Callable[[str], str], api: Api) -> Iterator[str]:
    name = f"{hub.host}/e2e/{unique('tools')}"
    yield name
    for image in api.get("/images/json").json:
        names = [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]
        if any(each.startswith(name) for each in names):
            api.delete(f"/images/{image['Id']}?force=1")


def run(*argv: str, timeout_s: float = 120) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def podman() -> Iterator[Callable[..., str]]:
    """podman with a store of its own, at a short path: it takes 50 characters at most."""
    need("podman")
    folder = tempfile.mkdtemp(prefix="podman-", dir="/tmp")
    base = (
        "podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run",
        "--storage-driver", "vfs",
    )  # fmt: skip
    yield lambda *words: run(*base, *words)
    run(*base, "rmi", "--all", "--force")
    shutil.rmtree(folder)


def layers_of(name: str) -> list[bytes]:
    """Of this name alone: skopeo remembers the forms in which it has seen a layer."""
    return [layer({"base": name.encode() * 10_000}), layer({"top": name.encode()})]


def test_skopeo_takes_what_we_pushed(docker: Command, repository: str, tmp_path: Path) -> None:
    need("skopeo")
    docker("load", input=docker_archive(f"{repository}:1", layers_of(repository)))
    pushed = docker("push", f"{repository}:1").lines[-1].split()[2]
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{repository}:1")
    assert f"sha256:{sha256(raw.encode()).hexdigest()}" == pushed
    # skopeo checks the digest of all that it copies, and of what it decompresses
    run(
        "skopeo", "copy", "-q", "--src-tls-verify=false",
        f"docker://{repository}:1", f"dir:{tmp_path}/image",
    )  # fmt: skip
    for blob in json.loads(raw)["layers"]:
        data = (tmp_path / "image" / blob["digest"][7:]).read_bytes()
        assert f"sha256:{sha256(data).hexdigest()}" == blob["digest"]


@pytest.mark.parametrize("format", ["v2s2", "oci"])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_we_take_what_skopeo_pushed_and_give_it_back(
    docker: Command, pierd: Pierd, repository: str, tmp_path: Path, format: str, compression: str
) -> None:
    """Byte for byte, which is ours alone: dockerd writes manifests and layers anew."""
    need("skopeo")
    if format == "v2s2" and compression == "zstd":
        pytest.skip("schema 2 knows no zstd")
    archive = tmp_path / "image.tar"
    archive.write_bytes(docker_archive("any:1", layers_of(repository)))
    run(
        "skopeo", "copy", "-q", "--dest-tls-verify=false", "--format", format,
        "--dest-compress-format", compression,
        f"docker-archive:{archive}", f"docker://{repository}/theirs:1",
    )  # fmt: skip
    docker("pull", f"{repository}/theirs:1")
    docker("tag", f"{repository}/theirs:1", f"{repository}/ours:1")
    docker("push", f"{repository}/ours:1")
    theirs, ours = (
        run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{repository}/{each}:1")
        for each in ("theirs", "ours")
    )
    assert ours == theirs
    kinds = {blob["mediaType"] for blob in json.loads(ours)["layers"]}
    assert all(kind.endswith(compression) for kind in kinds), kinds


def test_podman_both_ways(docker: Command, repository: str, podman: Callable[..., str]) -> None:
    docker("load", input=docker_archive(f"{repository}/ours:1", layers_of(repository)))
    digest = docker("push", f"{repository}/ours:1").lines[-1].split()[2]
    image_id = docker("image", "inspect", "--format", "{{.Id}}", f"{repository}/ours:1").out
    podman("pull", "-q", "--tls-verify=false", f"{repository}/ours:1")
    seen = json.loads(podman("image", "inspect", f"{repository}/ours:1"))[0]
    assert seen["Digest"] == digest and f"sha256:{seen['Id']}" == image_id
    podman("push", "-q", "--tls-verify=false", f"{repository}/ours:1", f"{repository}/theirs:1")
    docker("rmi", "-f", image_id)
    docker("pull", f"{repository}/theirs:1")
    back = json.loads(docker("image", "inspect", f"{repository}/theirs:1").stdout)[0]
    assert back["RootFS"]["Layers"] == [
        f"sha256:{sha256(data).hexdigest()}" for data in layers_of(repository)
    ]


def test_search(cli: Command) -> None:
    """Of a registry that still knows how (Docker Hub can't be asked here)."""
    results = [
        {"name": "e2e/app", "description": "an app", "star_count": 7, "is_official": False},
        {"name": "app", "description": "the app", "star_count": 40, "is_official": True},
    ]
    with LyingRegistry() as liar:
        liar.on(
            "GET",
            "/v1/search",
            lambda exchange: exchange.reply(
                200,
                json.dumps({"num_results": 2, "query": "app", "results": results}).encode(),
                {"Content-Type": "application/json"},
            ),
        )
        liar.on("GET", "/v1/_ping", lambda exchange: exchange.reply(200, b"true"))
        found = cli("search", "--format", "{{.Name}} {{.StarCount}}", f"{liar.host}/app")
        assert sorted(found.lines) == ["app 40", "e2e/app 7"]  # 20.10 sorts by stars
        few = cli(
            "search", "--format", "{{.Name}}", "--filter", "is-official=true", f"{liar.host}/app"
        )
        assert few.lines == ["app"]
        asked = next(item for item in liar.requests if "/v1/search" in item.path)
        assert asked.query["q"] == ["app"]
