"""Pulls by a real pierd from registries that are honest, slow, broken or hostile."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Pierd
from support.layers import item, layer_tar
from support.lying import (
    LyingRegistry,
    cut_after,
    digest_of,
    endless,
    other_bytes,
    redirect,
    stall,
    status,
)
from support.pulling import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    Blob,
    Pull,
    layer,
    publish,
    publish_index,
    pull,
    tar_of,
)

pytestmark = pytest.mark.root

BIG = 3 << 20


@pytest.fixture(scope="module")
def pierd() -> Iterator[Pierd]:
    daemon = Pierd("pull", extra=["--max-download-attempts", "3"])
    daemon.start()
    yield daemon
    daemon.destroy()


@pytest.fixture
def liar(pierd: Pierd) -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        yield registry
    for image in pierd.api.get("/images/json").json:
        pierd.api.delete(f"/images/{image['Id']}?force=1")


@pytest.fixture
def fresh() -> Iterator[Callable[..., Pierd]]:
    """Daemons of a test's own."""
    made: list[Pierd] = []

    def make(**options: Any) -> Pierd:
        daemon = Pierd("pullx", **options)
        made.append(daemon)
        daemon.start()
        return daemon

    yield make
    for daemon in made:
        daemon.destroy()


def until(condition: Callable[[], Any], timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def inspect(pierd: Pierd, name: str) -> Any:
    return pierd.api.get(f"/images/{name}/json")


def blobs(pierd: Pierd) -> set[str]:
    return set(os.listdir(pierd.data_root / "blobs" / "sha256"))


def partials(pierd: Pierd) -> dict[str, int]:
    folder = pierd.data_root / "ingest"
    return {path.stem: path.stat().st_size for path in folder.glob("*.partial")}


def layers_held(pierd: Pierd) -> int:
    return int(pierd.api.get("/system/df").json["LayersSize"])


def nothing_came_of_it(pierd: Pierd, name: str) -> None:
    assert inspect(pierd, name).status == 404
    until(lambda: layers_held(pierd) == 0)


# What is said, and what comes of it


def test_messages_as_docker_says_them(pierd: Pierd, liar: LyingRegistry) -> None:
    one, two = layer(tar_of("a")), layer(tar_of("b"))
    described = publish(liar, "app", "v1", [one, two])
    done = pull(pierd.api, f"{liar.host}/app", "v1")
    short = [blob.digest[7:19] for blob in (one, two)]
    assert done.texts[:3] == [
        "v1: Pulling from app",
        f"{short[0]}: Pulling fs layer",
        f"{short[1]}: Pulling fs layer",
    ]
    assert done.texts[-2:] == [
        f"Digest: {described['digest']}",
        f"Status: Downloaded newer image for {liar.host}/app:v1",
    ]
    for each in short:
        mine = [text.partition(": ")[2] for text in done.texts if text.startswith(each)]
        assert mine[0] == "Pulling fs layer" and mine[-2:] == ["Download complete", "Pull complete"]
    found = inspect(pierd, f"{liar.host}/app:v1").json
    assert found["RepoDigests"] == [f"{liar.host}/app@{described['digest']}"]
    assert found["RootFS"]["Layers"] == [one.diff_id, two.diff_id]
    assert {described["digest"][7:], one.digest[7:], two.digest[7:]} <= blobs(pierd)
    assert partials(pierd) == {}


def test_up_to_date_costs_a_head_request(pierd: Pierd, liar: LyingRegistry) -> None:
    publish(liar, "app", "v1", [layer(tar_of("a"))])
    pull(pierd.api, f"{liar.host}/app", "v1")
    before = len(liar.asked("GET", "/manifests/"))
    done = pull(pierd.api, f"{liar.host}/app", "v1")
    assert done.texts[-1] == f"Status: Image is up to date for {liar.host}/app:v1"
    assert len(liar.asked("GET", "/manifests/")) == before


def test_a_tag_that_moved_brings_only_what_is_new(pierd: Pierd, liar: LyingRegistry) -> None:
    base, old, new = layer(tar_of("base")), layer(tar_of("old")), layer(tar_of("new"))
    publish(liar, "app", "v1", [base, old])
    pull(pierd.api, f"{liar.host}/app", "v1")
    publish(liar, "app", "v1", [base, new])
    done = pull(pierd.api, f"{liar.host}/app", "v1")
    assert f"{base.digest[7:19]}: Already exists" in done.texts
    assert done.texts[-1] == f"Status: Downloaded newer image for {liar.host}/app:v1"
    assert len(liar.asked("GET", f"/blobs/{base.digest}")) == 1
    assert inspect(pierd, f"{liar.host}/app:v1").json["RootFS"]["Layers"][1] == new.diff_id


def test_events(pierd: Pierd, liar: LyingRegistry) -> None:
    publish(liar, "app", "v9", [layer(tar_of("a"))])
    begin = time.time()
    pull(pierd.api, f"{liar.host}/app", "v9")
    raw = pierd.api.get(f"/events?since={begin - 1}&until={time.time() + 1}").body
    events = [json.loads(line) for line in raw.splitlines()]
    found = [event for event in events if event["Action"] == "pull"][-1]
    assert found["Actor"]["ID"] == f"{liar.host}/app:v9"
    assert found["Actor"]["Attributes"] == {"name": f"{liar.host}/app", "tag": "v9"}


def test_all_tags(pierd: Pierd, liar: LyingRegistry) -> None:
    for tag in ("a", "b", "c"):
        publish(liar, "many", tag, [layer(tar_of(tag))])
    liar.on("GET", "/tags/list", lambda exchange: exchange.reply(
        200, b'{"name": "many", "tags": ["a", "b", "c"]}', {"Content-Type": "application/json"}
    ))  # fmt: skip
    done = pull(pierd.api, f"{liar.host}/many")
    assert done.texts[-1] == f"Status: Downloaded newer image for {liar.host}/many"
    for tag in ("a", "b", "c"):
        assert inspect(pierd, f"{liar.host}/many:{tag}").status == 200


def test_no_layers_at_all_and_one_layer_twice(pierd: Pierd, liar: LyingRegistry) -> None:
    publish(liar, "empty", "v1", [])
    assert pull(pierd.api, f"{liar.host}/empty", "v1").error == ""
    twice = layer(tar_of("twice"))
    publish(liar, "twice", "v1", [twice, layer(tar_of("between")), twice])
    done = pull(pierd.api, f"{liar.host}/twice", "v1")
    assert done.error == ""
    assert done.texts.count(f"{twice.digest[7:19]}: Pull complete") == 1
    assert len(liar.asked("GET", f"/blobs/{twice.digest}")) == 1
    assert len(inspect(pierd, f"{liar.host}/twice:v1").json["RootFS"]["Layers"]) == 3


# Kinds of manifests, platforms


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("oci", [True, False])
def test_kinds_of_layers(pierd: Pierd, liar: LyingRegistry, compression: str, oci: bool) -> None:
    blob = layer(tar_of(f"{compression}{oci}", 100_000), compression, oci=oci)
    publish(liar, "kinds", "v1", [blob], oci=oci)
    done = pull(pierd.api, f"{liar.host}/kinds", "v1")
    assert done.error == ""
    assert blob.digest[7:] in blobs(pierd)


def test_platforms(pierd: Pierd, liar: LyingRegistry) -> None:
    amd = publish(liar, "multi", "x-amd", [layer(tar_of("amd"))])
    arm = publish(liar, "multi", "x-arm", [layer(tar_of("arm"))], platform="linux/arm64/v8")
    attestation = publish(
        liar, "multi", "x-att", [layer(tar_of("att"))], platform="unknown/unknown"
    )
    index = publish_index(liar, "multi", "v1", [attestation, arm, amd])
    name = f"{liar.host}/multi"
    done = pull(pierd.api, name, "v1")
    assert done.texts[-2] == f"Digest: {index['digest']}"
    assert inspect(pierd, f"{name}:v1").json["Architecture"] == "amd64"
    assert inspect(pierd, f"{name}:v1").json["RepoDigests"] == [f"{name}@{index['digest']}"]
    assert pull(pierd.api, name, "v1").texts[-1].startswith("Status: Image is up to date")
    other = pull(pierd.api, name, "v1", platform="linux/arm64")
    assert other.texts[-1].startswith("Status: Downloaded newer image")
    again = pull(pierd.api, name, "v1", platform="linux/arm64")
    assert again.texts[-1].startswith("Status: Image is up to date")
    missing = pull(pierd.api, name, "v1", platform="linux/s390x")
    assert missing.error == "no matching manifest for linux/s390x in the manifest list entries"
    by_digest = pull(pierd.api, name, arm["digest"])
    assert by_digest.error == ""
    assert by_digest.texts[0] == f"{name}@{arm['digest']}: Pulling from multi"


def test_nested_index_and_manifest_list(pierd: Pierd, liar: LyingRegistry) -> None:
    amd = publish(liar, "nest", "x", [layer(tar_of("amd"))], oci=False)
    inner = publish_index(liar, "nest", "inner", [amd], oci=False)
    outer = publish_index(liar, "nest", "v1", [inner])
    done = pull(pierd.api, f"{liar.host}/nest", "v1")
    assert done.error == "" and done.texts[-2] == f"Digest: {outer['digest']}"
    loop = inner
    for _ in range(6):
        loop = publish_index(liar, "nest", "deep", [loop])
    assert "no matching manifest" in pull(pierd.api, f"{liar.host}/nest", "deep").error


def test_single_image_for_another_platform_is_a_warning(pierd: Pierd, liar: LyingRegistry) -> None:
    publish(liar, "single", "v1", [layer(tar_of("arm"))], platform="linux/arm64")
    done = pull(pierd.api, f"{liar.host}/single", "v1", platform="linux/amd64")
    assert any(
        text.startswith("WARNING: image with reference") and "actual: linux/arm64" in text
        for text in done.texts
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}}, "artifact"),
        ({"layers": [{"mediaType": "application/vnd.cyclonedx+json"}]}, "unsupported media type"),
        ({"layers": [{"digest": "sha256:../../etc"}]}, "could not validate layer digest"),
        ({"layers": [{"size": -1}]}, "negative"),
        ({"layers": []}, "layers from manifest don't match image configuration"),
    ],
)
def test_refused_manifests(
    pierd: Pierd, liar: LyingRegistry, fields: dict[str, Any], words: str
) -> None:
    blob = layer(tar_of("a"))
    publish(liar, "odd", "v1", [blob])
    document = json.loads(liar.manifests["odd", "v1"][1])
    for key, value in fields.items():
        if key == "layers" and value:
            document["layers"][0].update(value[0])
        elif key == "layers":
            document["layers"] = []
        else:
            document[key].update(value)
    liar.add_manifest("odd", "v1", json.dumps(document).encode(), document["mediaType"])
    done = pull(pierd.api, f"{liar.host}/odd", "v1")
    assert words in done.error
    nothing_came_of_it(pierd, f"{liar.host}/odd:v1")


def test_schema_1_and_nonsense(pierd: Pierd, liar: LyingRegistry) -> None:
    old = json.dumps({"schemaVersion": 1, "name": "x", "fsLayers": [], "history": []}).encode()
    liar.add_manifest("old", "v1", old, "application/vnd.docker.distribution.manifest.v1+prettyjws")
    assert "schema 1 support has been removed" in pull(pierd.api, f"{liar.host}/old", "v1").error
    for data in (b"", b"[]", b"{", b"null", b'{"config": 5}', b"[" * 100_000):
        liar.add_manifest("bad", "v1", data, DOCKER_MANIFEST)
        assert pull(pierd.api, f"{liar.host}/bad", "v1").error
    endless_index = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"digest": "x", "size": 1}]}
    ).encode()
    liar.add_manifest("bad", "v1", endless_index, OCI_INDEX)
    assert pull(pierd.api, f"{liar.host}/bad", "v1").error


# Lies


def test_what_is_not_there(pierd: Pierd, liar: LyingRegistry) -> None:
    done = pull(pierd.api, f"{liar.host}/nothing", "v1")
    assert done.status == 404
    assert done.error == (
        f"manifest for {liar.host}/nothing:v1 not found: manifest unknown: manifest unknown"
    )
    assert pull(pierd.api, "scratch").status == 403
    assert pull(pierd.api, "UPPER").status == 400


def lie_about(liar: LyingRegistry, kind: str, blob: Blob) -> None:
    path = f"/blobs/{blob.digest}"
    lies = {
        "other bytes": other_bytes(layer(tar_of("z", BIG)).data),
        "same length, other bytes": other_bytes(bytes(len(blob.data))),
        "too short": other_bytes(blob.data[:-100]),
        "too long": other_bytes(blob.data + b"x" * 100),
        "endless": endless(),
        "gone": status(404, b'{"errors": [{"code": "BLOB_UNKNOWN", "message": "no"}]}',
                       Content_Type="application/json"),
        "loop": redirect(f"/v2/lies/blobs/{blob.digest}?again"),
        "broken for ever": cut_after(1000),
    }  # fmt: skip
    liar.on("GET", path, lies[kind])


@pytest.mark.parametrize(
    "kind",
    [
        "other bytes",
        "same length, other bytes",
        "too short",
        "too long",
        "endless",
        "gone",
        "loop",
        "broken for ever",
    ],
)
def test_lies_about_a_layer(pierd: Pierd, liar: LyingRegistry, kind: str) -> None:
    good, bad = layer(tar_of("good")), layer(tar_of(kind, BIG))
    publish(liar, "lies", "v1", [good, bad])
    lie_about(liar, kind, bad)
    done = pull(pierd.api, f"{liar.host}/lies", "v1")
    assert done.status == 200 and done.error
    assert not any("Status:" in text for text in done.texts)
    nothing_came_of_it(pierd, f"{liar.host}/lies:v1")
    # and the truth is taken afterwards
    liar.on("GET", f"/blobs/{bad.digest}", lambda exchange: exchange.truth())
    assert pull(pierd.api, f"{liar.host}/lies", "v1").error == ""


def test_lies_about_config_and_manifest(pierd: Pierd, liar: LyingRegistry) -> None:
    blob = layer(tar_of("a"))
    described = publish(liar, "lies", "v1", [blob])
    config = json.loads(liar.manifests["lies", "v1"][1])["config"]["digest"]
    liar.on("GET", f"/blobs/{config}", other_bytes(b'{"os": "linux"}'))
    assert pull(pierd.api, f"{liar.host}/lies", "v1").error
    nothing_came_of_it(pierd, f"{liar.host}/lies:v1")
    liar.on("GET", f"/manifests/{described['digest']}", other_bytes(b'{"layers": []}'))
    assert pull(pierd.api, f"{liar.host}/lies", described["digest"]).error
    nothing_came_of_it(pierd, f"{liar.host}/lies@{described['digest']}")


def test_wrong_diff_id(pierd: Pierd, liar: LyingRegistry) -> None:
    blob = layer(tar_of("a"))
    publish(liar, "lies", "v1", [blob], diff_ids=[digest_of(b"something else")])
    assert "failed to register layer" in pull(pierd.api, f"{liar.host}/lies", "v1").error
    nothing_came_of_it(pierd, f"{liar.host}/lies:v1")


def test_not_a_tar(pierd: Pierd, liar: LyingRegistry) -> None:
    blob = layer(b"this is no tar at all" * 1000)
    publish(liar, "lies", "v1", [blob])
    assert pull(pierd.api, f"{liar.host}/lies", "v1").error
    nothing_came_of_it(pierd, f"{liar.host}/lies:v1")


# Broken lines, cancelled pulls, death


def test_resumes_within_a_pull(pierd: Pierd, liar: LyingRegistry) -> None:
    blob = layer(tar_of("broken", BIG))
    publish(liar, "app", "v1", [blob])
    liar.on("GET", f"/blobs/{blob.digest}", cut_after(1 << 20), times=2)
    assert pull(pierd.api, f"{liar.host}/app", "v1").error == ""
    ranges = [r.headers.get("range", "") for r in liar.asked("GET", f"/blobs/{blob.digest}")]
    assert len(ranges) == 3 and ranges[0] == ""
    assert [int(text[6:-1]) for text in ranges[1:]] == sorted(int(t[6:-1]) for t in ranges[1:])


def test_a_failed_pull_is_gone_on_with(pierd: Pierd, liar: LyingRegistry) -> None:
    small, blob = layer(tar_of("small")), layer(tar_of("later", BIG))
    publish(liar, "app", "v1", [small, blob])
    gate = threading.Event()
    liar.on("GET", f"/blobs/{blob.digest}", stall(gate, blob.data[: 1 << 20], len(blob.data)),
            times=1)  # fmt: skip
    going = Pull(pierd.api, f"{liar.host}/app", "v1")
    until(lambda: partials(pierd).get(blob.digest[7:]) == 1 << 20)
    going.wait_for("Pull complete")  # the small one
    going.cut()
    gate.set()
    nothing_came_of_it(pierd, f"{liar.host}/app:v1")
    until(lambda: not workers(pierd))
    assert partials(pierd)[small.digest[7:]] == len(small.data)
    liar._rules.clear()
    liar.requests.clear()
    assert pull(pierd.api, f"{liar.host}/app", "v1").error == ""
    assert [r.headers.get("range") for r in liar.asked("GET", f"/blobs/{blob.digest}")] == [
        f"bytes={1 << 20}-"
    ]
    assert liar.asked("GET", f"/blobs/{small.digest}") == []
    assert partials(pierd) == {}


def workers(pierd: Pierd) -> list[int]:
    """Processes of pierd that have a pipe to read from: a layer's worker."""
    from support.pulling import descendants_of

    found = []
    for pid in descendants_of(pierd.pid):
        try:
            if os.readlink(f"/proc/{pid}/fd/0").startswith("pipe:"):
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_killed_daemon_goes_on_from_the_byte(
    fresh: Callable[..., Pierd], liar: LyingRegistry
) -> None:
    daemon = fresh()
    small, blob = layer(tar_of("small")), layer(tar_of("killed", BIG))
    publish(liar, "app", "v1", [small, blob])
    gate = threading.Event()
    liar.on("GET", f"/blobs/{blob.digest}", stall(gate, blob.data[: 2 << 20], len(blob.data)),
            times=1)  # fmt: skip
    going = Pull(daemon.api, f"{liar.host}/app", "v1")
    until(lambda: partials(daemon).get(blob.digest[7:]) == 2 << 20)
    going.wait_for("Pull complete")
    daemon.kill9()
    gate.set()
    going.end()
    daemon.start()
    assert daemon.api.get("/images/json").json == []
    assert layers_held(daemon) == 0
    liar.requests.clear()
    assert pull(daemon.api, f"{liar.host}/app", "v1").error == ""
    assert [r.headers.get("range") for r in liar.asked("GET", f"/blobs/{blob.digest}")] == [
        f"bytes={2 << 20}-"
    ]
    assert liar.asked("GET", f"/blobs/{small.digest}") == []


def test_a_spoilt_partial_is_fetched_again(pierd: Pierd, liar: LyingRegistry) -> None:
    blob = layer(tar_of("spoilt", BIG))
    publish(liar, "app", "v1", [blob])
    partial = pierd.data_root / "ingest" / f"{blob.digest[7:]}.partial"
    partial.write_bytes(blob.data[:1000] + bytes(100_000))
    assert pull(pierd.api, f"{liar.host}/app", "v1").error == ""
    partial.write_bytes(blob.data + b"too much")
    pierd.api.delete(f"/images/{liar.host}/app:v1")
    assert pull(pierd.api, f"{liar.host}/app", "v1").error == ""


def test_two_pulls_share_a_layer(pierd: Pierd, liar: LyingRegistry) -> None:
    blob = layer(tar_of("shared", BIG))
    publish(liar, "app", "v1", [blob, layer(tar_of("one"))])
    publish(liar, "app", "v2", [blob, layer(tar_of("two"))])
    gate = threading.Event()

    def slowly(exchange: Any) -> None:
        gate.wait(60)
        exchange.truth()

    liar.on("GET", f"/blobs/{blob.digest}", slowly)
    first = Pull(pierd.api, f"{liar.host}/app", "v1")
    first.wait_for("Pulling fs layer")
    until(lambda: liar.asked("GET", f"/blobs/{blob.digest}"))
    second = Pull(pierd.api, f"{liar.host}/app", "v2")
    second.wait_for("Pulling fs layer")
    third = Pull(pierd.api, f"{liar.host}/app", "v1")
    third.wait_for("Pulling fs layer")
    first.cut()  # the others go on
    gate.set()
    for going in (second, third):
        done = going.end()
        assert done.error == "" and f"{blob.digest[7:19]}: Pull complete" in done.texts
    assert len(liar.asked("GET", f"/blobs/{blob.digest}")) == 1


def test_pulling_while_removing(pierd: Pierd, liar: LyingRegistry) -> None:
    base = layer(tar_of("base", 200_000))
    publish(liar, "app", "v1", [base, layer(tar_of("one"))])
    publish(liar, "app", "v2", [base, layer(tar_of("two"))])
    stop = threading.Event()

    def remove() -> None:
        while not stop.is_set():
            pierd.api.delete(f"/images/{liar.host}/app:v1?force=1")

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for _ in range(15):
            done = [Pull(pierd.api, f"{liar.host}/app", tag) for tag in ("v1", "v2")]
            assert [each.end().error for each in done] == ["", ""]
            pierd.api.delete(f"/images/{liar.host}/app:v2?force=1")
    finally:
        stop.set()
        remover.join()
    assert pull(pierd.api, f"{liar.host}/app", "v1").error == ""


def test_lists_answer_meanwhile(pierd: Pierd, liar: LyingRegistry) -> None:
    blob = layer(tar_of("slow", BIG))
    publish(liar, "app", "v1", [blob])
    gate = threading.Event()
    liar.on("GET", f"/blobs/{blob.digest}", stall(gate, blob.data[:1000], len(blob.data)), times=1)
    going = Pull(pierd.api, f"{liar.host}/app", "v1")
    until(lambda: liar.asked("GET", f"/blobs/{blob.digest}"))
    assert pierd.api.get("/containers/json").status == 200
    assert pierd.api.get("/images/json").json == []
    going.cut()
    gate.set()


# Mirrors, and a disk that is full


def test_mirrors_come_first_and_may_fail(fresh: Callable[..., Pierd], liar: LyingRegistry) -> None:
    with LyingRegistry() as mirror:
        daemon = fresh(config={"registry-mirrors-for": {liar.host: [f"http://{mirror.host}"]}})
        there, only_here = layer(tar_of("there")), layer(tar_of("here"))
        publish(mirror, "app", "v1", [there])
        publish(liar, "app", "v1", [there])
        publish(liar, "app", "v2", [only_here])
        assert pull(daemon.api, f"{liar.host}/app", "v1").error == ""
        assert mirror.asked("GET", f"/blobs/{there.digest}")
        assert not liar.asked("GET", "/blobs/")
        assert pull(daemon.api, f"{liar.host}/app", "v2").error == ""
        assert liar.asked("GET", f"/blobs/{only_here.digest}")
        mirror.on("GET", "/manifests/v1", status(500))
        publish(liar, "app", "v1", [layer(tar_of("newer"))])
        assert pull(daemon.api, f"{liar.host}/app", "v1").error == ""
        mirror.close()
        publish(liar, "app", "v3", [layer(tar_of("last"))])
        assert pull(daemon.api, f"{liar.host}/app", "v3").error == ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 24 MB."""
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(24 << 20)
    folder.mkdir()
    subprocess.run(["mkfs.ext4", "-qF", "-m0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def cramped(small_disk: Path) -> Iterator[Pierd]:
    """A daemon on it."""
    daemon = Pierd("full", extra=["--data-root", str(small_disk / "data")])
    daemon.data_root = small_disk / "data"
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.destroy()


def test_full_disk(cramped: Pierd, liar: LyingRegistry) -> None:
    publish(liar, "app", "big", [layer(tar_of("small")), layer(tar_of("big", 30 << 20))])
    publish(liar, "app", "ok", [layer(tar_of("fits"))])
    done = pull(cramped.api, f"{liar.host}/app", "big")
    assert "no space left on device" in done.error or "room" in done.error, done
    assert inspect(cramped, f"{liar.host}/app:big").status == 404
    assert cramped.api.get("/containers/json").status == 200
    assert pull(cramped.api, f"{liar.host}/app", "ok").error == ""


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_bomb(cramped: Pierd, liar: LyingRegistry, compression: str) -> None:
    """Gigabytes of zeros in a few megabytes or less: refused by the room on the disk."""
    whole = layer_tar(item("zeros", data=bytes(64 << 20)))
    head, zeros, end = whole[:512], bytes(64 << 20), whole[-10240:]
    pieces = [layer(piece, compression).data for piece in (head, zeros, end)]
    bomb = layer(b"", compression)
    bomb.data = pieces[0] + pieces[1] * 60 + pieces[2]
    publish(liar, "bomb", "v1", [bomb], diff_ids=[digest_of(b"whatever")])
    done = pull(cramped.api, f"{liar.host}/bomb", "v1")
    assert "room" in done.error or "invalid" in done.error, done
    assert inspect(cramped, f"{liar.host}/bomb:v1").status == 404
    assert layers_held(cramped) == 0
