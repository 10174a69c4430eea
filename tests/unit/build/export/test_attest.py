from __future__ import annotations

from pathlib import Path

from pierhead.build.export.attest import Attester
from unit.build.export.conftest import Build


async def kinds(build: Build, *, explicit: bool, **options: object) -> list[str]:
    image = build.assembled(b"one")
    found = await Attester(build.files).statements(  # type: ignore[arg-type]
        build.solved(image, **options), image, explicit=explicit, now_ns=0
    )
    return [statement["predicateType"] for statement in found]


async def test_nothing_unless_asked(build: Build) -> None:
    assert await kinds(build, explicit=True) == []


async def test_inline_only_waits_for_a_manifest(build: Build) -> None:
    provenance = {"inline-only": "true"}
    assert await kinds(build, explicit=False, provenance=provenance) == []
    assert await kinds(build, explicit=True, provenance=provenance) == [
        "https://slsa.dev/provenance/v1"
    ]
    assert await kinds(build, explicit=False, sbom={"inline-only": "true"}) == []


async def test_provenance_of_the_older_version(build: Build, tmp_path: Path) -> None:
    assert await kinds(build, explicit=False, provenance={"version": "v0.2"}) == [
        "https://slsa.dev/provenance/v0.2"
    ]
