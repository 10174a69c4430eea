"""``image verify``: damage of every kind is found, and repaired from the registry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Pierd
from support.lying import LyingRegistry
from support.pulling import layer, publish, pull, tar_of

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=["erofs", "overlay2"])
def pierd(request: pytest.FixtureRequest) -> Iterator[Pierd]:
    daemon = Pierd("verify", extra=["--storage-driver", request.param])
    daemon.start()
    yield daemon
    daemon.destroy()


def verify(pierd: Pierd, query: str = "") -> list[dict[str, Any]]:
    answer = pierd.api.post(f"/pierhead/images/verify?{query}")
    assert answer.status == 200
    return [json.loads(line) for line in answer.body.splitlines() if line.strip()]


def spoil(path: Path, at: int) -> None:
    """Change one byte, as a bad disk would."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x55]))


def blob(pierd: Pierd, digest: str) -> Path:
    return pierd.data_root / "blobs" / "sha256" / digest.removeprefix("sha256:")


def spoil_layer(pierd: Pierd) -> None:
    """Of the one layer: a byte of its one file, or all of its tar, which is the blob's file."""
    folder = pierd.data_root / "snapshots"
    for tar in folder.glob("overlay2/layers/*/tar"):
        tar.unlink()
        return
    (image,) = (path for path in folder.glob("erofs/layers/*/*") if path.is_file())
    spoil(image, 4096 + 512 + 520)


def test_damage_is_found_and_repaired(pierd: Pierd) -> None:
    with LyingRegistry() as registry:
        only = layer(tar_of("a", 3000))
        described = publish(registry, "app", "v1", [only])
        name = f"{registry.host}/app:v1"
        pull(pierd.api, f"{registry.host}/app", "v1")
        whole = verify(pierd, f"name={name}")
        assert {message.get("Status") for message in whole[:-1]} == {"whole"}
        assert {message["Kind"] for message in whole[:-1]} == {
            "manifest", "config", "blob", "layer",
        }  # fmt: skip
        assert whole[-1] == {"Checked": 4, "Damaged": 0, "Repaired": 0}

        image_id = pierd.api.get(f"/images/{name}/json").json["Id"]
        spoil(blob(pierd, described["digest"]), 10)
        blob(pierd, image_id).unlink()
        spoil(blob(pierd, only.digest), 30)
        found = {message.get("Kind"): message for message in verify(pierd)}
        assert found["manifest"]["Status"] == "damaged"
        assert (found["config"]["Status"], found["blob"]["Status"]) == ("missing", "damaged")
        assert found[None]["Damaged"] >= 3

        repaired = {message.get("Kind"): message for message in verify(pierd, "repair=1")}
        assert repaired[None]["Damaged"] == 0
        for kind in ("manifest", "config", "blob"):
            assert repaired[kind]["Status"] == "repaired", repaired[kind]
            assert repaired[kind]["Source"] == f"{registry.host}/app"
        assert {message.get("Status") for message in verify(pierd)[:-1]} == {"whole"}

        spoil_layer(pierd)
        blob(pierd, only.digest).unlink()  # so that only the registry has it
        repaired = {message.get("Kind"): message for message in verify(pierd, "repair=1")}
        assert repaired["layer"]["Status"] == "repaired"
        assert repaired["layer"]["Source"] == f"{registry.host}/app"
        assert verify(pierd)[-1] == {"Checked": 4, "Damaged": 0, "Repaired": 0}

        spoil_layer(pierd)
        found = {message.get("Kind"): message for message in verify(pierd)}
        assert found["layer"]["Status"] == "damaged"
    # The registry is gone: the blob is enough.
    repaired = {message.get("Kind"): message for message in verify(pierd, "repair=1")}
    assert repaired["layer"]["Status"] == "repaired"
    assert verify(pierd)[-1] == {"Checked": 4, "Damaged": 0, "Repaired": 0}


def test_without_the_registry_damage_stays_and_is_told(pierd: Pierd) -> None:
    for image in pierd.api.get("/images/json").json:
        pierd.api.delete(f"/images/{image['Id']}?force=1")
    with LyingRegistry() as registry:
        described = publish(registry, "gone", "v1", [layer(tar_of("x"))])
        pull(pierd.api, f"{registry.host}/gone", "v1")
    spoil(blob(pierd, described["digest"]), 10)
    messages = verify(pierd, "repair=1")
    (damaged,) = [one for one in messages if one.get("Status") == "damaged"]
    assert damaged["Complaint"]
    assert messages[-1] == {"Checked": 4, "Damaged": 1, "Repaired": 0}


def test_an_unknown_image(pierd: Pierd) -> None:
    assert pierd.api.post("/pierhead/images/verify?name=none:1").status == 404
