"""What builds give away: every type of output, attestations, squashed images, caches.

By pier, which has them all; what comes out is read by skopeo, tar and the stock docker.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command import Command
from support.http import Api
from support.registries import DockerRegistry, need, registry

pytestmark = pytest.mark.root

DOCKERFILE = """\
FROM busybox AS made
RUN echo made > /made
FROM busybox
COPY --from=made /made /made
RUN --mount=type=cache,target=/cache,id={id} cat /cache/* 2>/dev/null; \
    echo kept > /cache/file; echo two > /two; rm /made
ENV X=1
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def context(tmp_path: Path, name: str, api: Api) -> Iterator[Path]:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE.format(id=name))
    yield folder
    for image in api.get("/images/json").json:
        if not (image["RepoTags"] or []) or any(name in tag for tag in image["RepoTags"]):
            api.delete(f"/images/{image['Id']}?force=1")


def index_of(layout: dict[str, bytes]) -> dict[str, Any]:
    [entry] = json.loads(layout["index.json"])["manifests"]
    found: dict[str, Any] = json.loads(blob(layout, entry["digest"]))
    return found


def blob(layout: dict[str, bytes], digest: str) -> bytes:
    return layout[f"blobs/sha256/{digest[7:]}"]


def skopeo(*args: str) -> str:
    need("skopeo")
    return subprocess.run(
        ("skopeo", *args), capture_output=True, text=True, check=True, timeout=60
    ).stdout


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }


def test_an_oci_archive_with_attestations(
    pier: Command, docker: Command, context: Path, tmp_path: Path, name: str
) -> None:
    archive = tmp_path / "out.tar"
    pier(
        *("build", "-t", name, "--provenance", "mode=max", "--sbom", "true"),
        *("-o", f"type=oci,dest={archive}", str(context)),
    )
    layout = read(archive)
    image, attested = index_of(layout)["manifests"]
    assert image["platform"]["os"] == "linux"
    statements = [
        json.loads(blob(layout, layer["digest"]))
        for layer in json.loads(blob(layout, attested["digest"]))["layers"]
    ]
    kinds = {statement["predicateType"]: statement for statement in statements}
    provenance = kinds["https://slsa.dev/provenance/v1"]["predicate"]
    steps = provenance["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"]
    assert any("echo made" in step["op"]["instruction"] for step in steps)
    assert kinds["https://spdx.dev/Document"]["predicate"]["spdxVersion"] == "SPDX-2.3"
    told = json.loads(skopeo("inspect", f"oci-archive:{archive}"))
    assert "X=1" in told["Env"]
    docker("load", "-i", str(archive))
    assert docker("run", "--rm", name, "cat", "/two").stdout == "two\n"


def test_a_docker_archive_loads(
    pier: Command, docker: Command, context: Path, tmp_path: Path, name: str
) -> None:
    archive = tmp_path / "out.tar"
    pier("build", "-t", name, "-o", f"type=docker,dest={archive}", str(context))
    [entry] = json.loads(read(archive)["manifest.json"])
    assert entry["RepoTags"] == [f"{name}:latest"]
    docker("load", "-i", str(archive))
    assert docker("run", "--rm", name, "cat", "/two").stdout == "two\n"


def test_files_alone(pier: Command, context: Path, tmp_path: Path) -> None:
    pier(
        *("build", "-o", str(tmp_path / "tree"), "-o", f"type=tar,dest={tmp_path / 'tree.tar'}"),
        str(context),
    )
    assert (tmp_path / "tree" / "two").read_text() == "two\n"
    assert not (tmp_path / "tree" / "made").exists()
    assert (tmp_path / "tree" / "bin" / "busybox").stat().st_mode & 0o111
    assert read(tmp_path / "tree.tar")["two"] == b"two\n"


def test_platforms_in_a_registry(
    pier: Command, hub: DockerRegistry, tmp_path: Path, name: str, api: Api
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH\n")
    target = f"{hub.host}/e2e/{name}"
    metadata = tmp_path / "metadata.json"
    pier(
        *("build", "--platform", "linux/amd64,linux/arm64", "-t", target, "--push"),
        *("--annotation", "index:org.example.a=b", "--metadata-file", str(metadata)),
        str(tmp_path),
    )
    raw = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{target}")
    index = json.loads(raw)
    assert index["annotations"] == {"org.example.a": "b"}
    platforms = [entry["platform"]["architecture"] for entry in index["manifests"]]
    assert platforms[:2] == ["amd64", "arm64"]
    told = json.loads(metadata.read_text())
    assert told["containerimage.descriptor"]["size"] == len(raw.encode())
    assert told["image.name"] == f"{target}:latest"
    api.delete(f"/images/{target}?force=1")


def test_squashed(api: Api, context: Path, pier: Command, name: str) -> None:
    body = tarred(context)
    answer = api.post(f"/build?squash=1&t={name}", body, timeout_s=120)
    assert b"Successfully tagged" in answer.body
    image = api.get(f"/images/{name}/json").json
    base = api.get("/images/busybox/json").json
    assert image["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    history = api.get(f"/images/{name}/history").json
    assert history[0]["Comment"].startswith("merge sha256:")
    pier.fails("run", "--rm", name, "ls", "/made")
    assert pier("run", "--rm", name, "cat", "/two").stdout == "two\n"


def tarred(folder: Path) -> bytes:
    path = shutil.make_archive(str(folder.parent / "context-tar"), "tar", folder)
    return Path(path).read_bytes()


@pytest.mark.parametrize("where", ["registry", "local"])
def test_caches_travel_with_their_mounts(
    pier: Command, api: Api, hub: DockerRegistry, context: Path, tmp_path: Path, name: str,
    where: str,
) -> None:  # fmt: skip
    ref = f"{hub.host}/e2e/{name}-cache"
    to = f"type=registry,ref={ref}" if where == "registry" else f"type=local,dest={tmp_path / 'c'}"
    source = to.replace("dest=", "src=")
    pier(
        *("build", "-t", name, "--cache-to", f"{to},mode=max,mounts=true", str(context)),
    )
    before = api.get(f"/images/{name}/json").json["Id"]
    forget(pier, name)
    done = pier(
        *("build", "-t", name, "--progress", "plain", "--cache-from", source, str(context)),
    )
    assert done.stderr.count("CACHED") >= 3, done
    assert api.get(f"/images/{name}/json").json["Id"] == before
    assert pier("run", "--rm", name, "cat", "/two").stdout == "two\n"
    # A changed step finds its cache mount as it was on the machine that exported it.
    forget(pier, name)
    text = (context / "Dockerfile").read_text().replace("echo two", "echo three")
    (context / "Dockerfile").write_text(text)
    done = pier(
        *("build", "-t", name, "--progress", "plain", "--cache-from", source, str(context)),
    )
    assert " kept\n" in done.stderr, done


def forget(pier: Command, name: str) -> None:
    """As on a machine that has built nothing yet."""
    pier("image", "rm", "-f", name)
    pier("builder", "prune", "-af")


def test_a_cache_inside_an_image(
    pier: Command, hub: DockerRegistry, context: Path, name: str, api: Api
) -> None:
    target = f"{hub.host}/e2e/{name}"
    pier("build", "-t", target, "--push", "--cache-to", "type=inline", str(context))
    forget(pier, target)
    done = pier(
        *("build", "-t", name, "--progress", "plain", "--cache-from", target, str(context)),
    )
    assert done.stderr.count("CACHED") >= 2, done


def test_a_foreign_cache_is_a_warning(
    pier: Command, context: Path, name: str, hub: DockerRegistry
) -> None:
    done = pier("build", "-t", name, "--cache-from", f"{hub.host}/e2e/nothing", str(context))
    assert "no cache from" in done.stderr
