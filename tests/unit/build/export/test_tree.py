from __future__ import annotations

import json

from pierhead.build.model import Output
from unit.build.export.conftest import ARM64, Build


async def test_one_platform_has_no_directory_of_its_own(build: Build) -> None:
    image = build.assembled(b"one")
    await build.export(build.solved(image), Output(type="tar"))
    assert build.client.received[0].files() == {"hello": b"hi"}
    assert build.files.asked == [
        {"chain_id": image.chains[-1], "epoch_s": None, "prefix": "", "end": False}
    ]


async def test_platforms_are_split(build: Build) -> None:
    images = [build.assembled(b"one"), build.assembled(b"two", platform=ARM64)]
    await build.export(build.solved(*images), Output(type="local"))
    assert set(build.client.received[0].files()) == {"linux_amd64/hello", "linux_arm64/hello"}
    output = Output(type="local", attributes={"platform-split": "false"}, number=1)
    await build.export(build.solved(*images), output)
    assert set(build.client.received[1].files()) == {"hello"}


async def test_attestations_are_files(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), provenance={"filename": "p.json"})
    output = Output(type="local", attributes={"attestation-prefix": "x-"})
    await build.export(solved, output)
    statement = json.loads(build.client.received[0].files()["x-p.json"])
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    solved.options.provenance = {"inline-only": "true"}
    await build.export(solved, Output(type="local", number=1))
    assert set(build.client.received[1].files()) == {"hello"}
