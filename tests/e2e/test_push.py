"""docker push, by every command line, to Debian's docker-registry."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from support.archives import docker_archive, layer
from support.command import Command, Result
from support.daemon import Pierd
from support.http import Api
from support.registries import DockerRegistry, cutting, registry

pytestmark = pytest.mark.root

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def repository(hub: DockerRegistry, unique: Callable[[str], str]) -> str:
    """A repository of the registry that no other test uses."""
    return f"{hub.host}/e2e/{unique('push')}"


@pytest.fixture
def forget(api: Api) -> Iterator[Callable[[str], None]]:
    """Removes all images of a repository at the end."""
    named: list[str] = []
    yield named.append
    for image in api.get("/images/json").json:
        names = [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]
        if any(name.startswith(prefix) for name in names for prefix in named):
            api.delete(f"/images/{image['Id']}?force=1")


def load(cli: Command, name: str, *layers: bytes, **options: str) -> None:
    cli("load", input=docker_archive(name, layers, **options))


def raw_manifest(reference: str, *accept: str) -> tuple[str, bytes]:
    """What the registry has, asked directly: media type and bytes."""
    host, _, rest = reference.partition("/")
    path, _, tag = rest.rpartition("@") if "@" in rest else rest.rpartition(":")
    request = urllib.request.Request(
        f"http://{host}/v2/{path}/manifests/{tag}",
        headers={"Accept": ", ".join(accept or (MANIFEST, OCI_MANIFEST, OCI_INDEX))},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read()


def digest_said(result: Result) -> str:
    """``1: digest: sha256:... size: 527`` → the digest."""
    return result.lines[-1].split()[2]


def test_push_says_what_docker_says_and_the_registry_has_it(
    cli: Command, repository: str, forget: Callable[[str], None]
) -> None:
    forget(repository)
    base, top = layer({"base": b"base " * 1000}), layer({"top": repository.encode()})
    load(cli, f"{repository}:1", base, top, label=repository)
    short = [sha256(data).hexdigest()[:12] for data in (top, base)]
    first = cli("push", f"{repository}:1")
    assert first.lines[0] == f"The push refers to repository [{repository}]"
    assert [line for line in first.lines if "Preparing" in line] == [
        f"{each}: Preparing" for each in short
    ]
    media_type, data = raw_manifest(f"{repository}:1")
    digest = f"sha256:{sha256(data).hexdigest()}"
    assert first.lines[-1] == f"1: digest: {digest} size: {len(data)}"
    assert media_type == MANIFEST
    again = cli("push", f"{repository}:1")
    assert sorted(line for line in again.lines if "already exists" in line) == sorted(
        f"{each}: Layer already exists" for each in short
    )
    assert again.lines[-1] == first.lines[-1]
    found = json.loads(cli("image", "inspect", f"{repository}:1").stdout)[0]
    assert f"{repository}@{digest}" in found["RepoDigests"]


def test_what_was_pushed_comes_back_the_same(
    cli: Command, repository: str, forget: Callable[[str], None]
) -> None:
    forget(repository)
    load(cli, f"{repository}:1", layer({"one": b"1" * 70_000}), layer({"two": b"2"}))
    before = json.loads(cli("image", "inspect", f"{repository}:1").stdout)[0]
    digest = digest_said(cli("push", f"{repository}:1"))
    cli("rmi", "-f", before["Id"])
    cli("pull", f"{repository}@{digest}")
    after = json.loads(cli("image", "inspect", f"{repository}@{digest}").stdout)[0]
    assert after["Id"] == before["Id"] and after["RootFS"] == before["RootFS"]


def test_all_tags(cli: Command, repository: str, forget: Callable[[str], None]) -> None:
    forget(repository)
    load(cli, f"{repository}:1", layer({"one": repository.encode()}))
    cli("tag", f"{repository}:1", f"{repository}:2")
    pushed = cli("push", "-a", repository)
    said = [line.split(":")[0] for line in pushed.lines if "digest:" in line]
    assert sorted(said) == ["1", "2"]
    assert raw_manifest(f"{repository}:1") == raw_manifest(f"{repository}:2")


def test_quiet(cli: Command, repository: str, forget: Callable[[str], None]) -> None:
    forget(repository)
    load(cli, f"{repository}:1", layer({"one": repository.encode()}))
    assert cli("push", "-q", f"{repository}:1").out == f"{repository}:1"


def test_another_repository_lends_its_layers(
    cli: Command, hub: DockerRegistry, repository: str, forget: Callable[[str], None]
) -> None:
    forget(repository)
    load(cli, f"{repository}/a:1", layer({"one": repository.encode() * 5000}))
    digest = digest_said(cli("push", f"{repository}/a:1"))
    cli("tag", f"{repository}/a:1", f"{repository}/b:1")
    mounted = cli("push", f"{repository}/b:1")
    path = repository.partition("/")[2]
    assert any(line.endswith(f": Mounted from {path}/a") for line in mounted.lines), mounted
    assert digest_said(mounted) == digest


def test_errors(cli: Command, repository: str, forget: Callable[[str], None]) -> None:
    forget(repository)
    missing = cli("push", f"{repository}:1", check=False)
    assert missing.returncode == 1
    missing.says(f"An image does not exist locally with the tag: {repository}")
    load(cli, f"{repository}:1", layer({"one": repository.encode()}))
    other = cli("push", f"{repository}:2", check=False)
    assert other.returncode == 1
    other.says(f"tag does not exist: {repository}:2")
    nobody = "127.0.0.1:1/x"
    cli("tag", f"{repository}:1", nobody)
    try:
        gone = cli("push", nobody, check=False)
        assert gone.returncode == 1
        gone.says('http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused')
    finally:
        cli("rmi", nobody)


def test_a_pulled_image_is_pushed_byte_for_byte(
    docker: Command, hub: DockerRegistry, repository: str, forget: Callable[[str], None],
    pierd: Pierd, tmp_path: Path,
) -> None:  # fmt: skip
    """Even if nobody here would have written it so: OCI, other spaces, another compression.

    Ours alone: dockerd writes manifests and compresses layers anew.
    """
    from support.registries import need

    need("skopeo")
    forget(repository)
    load(docker, f"{repository}/made:1", layer({"one": repository.encode() * 300}))
    docker("push", f"{repository}/made:1")
    docker("rmi", "-f", f"{repository}/made:1")
    source = f"docker://{repository}/made:1"
    copied = f"docker://{repository}/oci:1"
    skopeo = ["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"]
    subprocess.run([*skopeo, "--format", "oci", source, f"dir:{tmp_path}/image"], check=True)
    manifest = json.loads((tmp_path / "image/manifest.json").read_bytes())
    text = json.dumps(manifest, indent=1) + "\n"
    (tmp_path / "image/manifest.json").write_text(text)
    subprocess.run([*skopeo, f"dir:{tmp_path}/image", copied], check=True)
    docker("pull", f"{repository}/oci:1")
    docker("tag", f"{repository}/oci:1", f"{repository}/again:1")
    docker("push", f"{repository}/again:1")
    assert raw_manifest(f"{repository}/again:1") == (OCI_MANIFEST, text.encode())


def test_a_line_that_breaks(
    docker: Command, hub: DockerRegistry, unique: Callable[[str], str],
    forget: Callable[[str], None],
) -> None:  # fmt: skip
    import random

    with cutting(hub.host, seed=3, least=200_000, most=2_000_000, budget=4, both_ways=True) as line:
        name = f"{line.host}/e2e/{unique('cut')}:1"
        forget(name)
        data = random.Random(1).randbytes(8_000_000)
        load(docker, name, layer({"noise": data}), layer({"name": name.encode()}))
        digest = digest_said(docker("push", name, timeout_s=180))
        assert line.cuts
    _, manifest = raw_manifest(name.replace(line.host, hub.host))
    assert f"sha256:{sha256(manifest).hexdigest()}" == digest
    for blob in json.loads(manifest)["layers"]:
        assert hub.blob_path(blob["digest"]).stat().st_size == blob["size"]


def test_docker_py_gets_the_aux_message(
    docker_py: Any, docker: Command, repository: str, forget: Callable[[str], None]
) -> None:
    forget(repository)
    load(docker, f"{repository}:1", layer({"one": repository.encode()}))
    messages = list(docker_py.images.push(repository, tag="1", stream=True, decode=True))
    aux = next(message["aux"] for message in messages if "aux" in message)
    _, data = raw_manifest(f"{repository}:1")
    assert aux == {
        "Tag": "1",
        "Digest": f"sha256:{sha256(data).hexdigest()}",
        "Size": len(data),
    }


def test_the_event(
    api: Api, docker: Command, repository: str, forget: Callable[[str], None]
) -> None:
    forget(repository)
    load(docker, f"{repository}:1", layer({"one": repository.encode()}))
    docker("push", f"{repository}:1")
    said = docker(
        # "0s" would be the beginning of this second
        "events", "--since", "10m", "--until", str(int(time.time()) + 1), "--filter", "event=push",
        "--filter", f"image={repository}:1", "--format", "{{json .}}",
    )  # fmt: skip
    event = json.loads(said.lines[-1])
    assert event["Actor"]["ID"] == f"{repository}:1"
    assert event["Actor"]["Attributes"]["name"] == repository
