from __future__ import annotations

import base64
import json

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.manifest.record import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Record,
    list_document,
    named,
    platform_of,
)

RAW = (
    b'{\n   "schemaVersion": 2,\n   "mediaType": "%s",\n'
    b'   "config": {\n      "size": 1520,\n      "digest": "sha256:c"\n   },\n'
    b'   "layers": [\n      {\n         "digest": "sha256:l"\n      }\n   ]\n}'
) % DOCKER_MANIFEST.encode()
DIGEST = "sha256:aa2e76ddd3ca3ef1aca9f0e4c0dcb48e3e6d1b8e08df2a1f37bde4c81bd3b5a1"


def record(raw: bytes = RAW, media_type: str = DOCKER_MANIFEST) -> Record:
    from hashlib import sha256

    digest = f"sha256:{sha256(raw).hexdigest()}"
    platform = platform_of({"os": "linux", "architecture": "arm", "variant": "v7"})
    return Record("example.com/alpine:3.0", media_type, digest, raw, platform)


def test_it_comes_back_as_it_was_written() -> None:
    first = record()
    again = Record.from_json(first.to_json(), "a file")
    assert again.raw == RAW and again.digest == first.digest
    assert (again.ref, again.media_type, again.platform) == (
        first.ref,
        first.media_type,
        first.platform,
    )
    assert again.blobs() == ["sha256:c", "sha256:l"]


def test_the_fields_are_dockers_and_in_its_order() -> None:
    document = json.loads(record().to_json())
    assert list(document) == ["Ref", "Descriptor", "Raw", "SchemaV2Manifest"]
    assert list(document["Descriptor"]) == ["mediaType", "digest", "size", "platform"]
    assert list(document["Descriptor"]["platform"]) == ["architecture", "os", "variant"]
    assert base64.b64decode(document["Raw"]) == RAW
    assert "OCIManifest" in json.loads(record(RAW, OCI_MANIFEST).to_json())


def test_a_file_without_raw_is_rebuilt_if_its_digest_allows() -> None:
    document = json.loads(record().to_json())
    del document["Raw"]
    assert Record.from_json(json.dumps(document), "a file").raw == RAW
    document["Descriptor"]["digest"] = DIGEST
    with pytest.raises(CliError, match=r"internal digest mismatch for example.com/alpine:3.0"):
        Record.from_json(json.dumps(document), "a file")


def test_the_oldest_files_have_digest_and_platform_at_the_top() -> None:
    now = record()
    old = {
        "Ref": now.ref,
        "Digest": now.digest,
        "Platform": {"architecture": "arm", "os": "linux"},
        "SchemaV2Manifest": json.loads(RAW),
    }
    found = Record.from_json(json.dumps(old), "a file")
    assert found.raw == RAW and found.platform == {"architecture": "arm", "os": "linux"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Ref": "x", "Raw": "="}', "nonsense"])
def test_damaged_files_are_named(text: str) -> None:
    with pytest.raises(CliError, match=r"a file|digest mismatch"):
        Record.from_json(text, "a file")


def test_a_list_is_written_as_docker_writes_it() -> None:
    text, media_type = list_document([record()])
    assert text == (
        "{\n"
        '   "schemaVersion": 2,\n'
        '   "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",\n'
        '   "manifests": [\n'
        "      {\n"
        '         "mediaType": "application/vnd.docker.distribution.manifest.v2+json",\n'
        f'         "size": {len(RAW)},\n'
        f'         "digest": "{record().digest}",\n'
        '         "platform": {\n'
        '            "architecture": "arm",\n'
        '            "os": "linux",\n'
        '            "variant": "v7"\n'
        "         }\n"
        "      }\n"
        "   ]\n"
        "}"
    )
    assert media_type == json.loads(text)["mediaType"]
    assert list_document([record(RAW, OCI_MANIFEST)])[1] == OCI_INDEX


def test_names() -> None:
    assert str(named("busybox")) == "docker.io/library/busybox:latest"
    assert str(named("r:5/x@sha256:" + "a" * 64)) == "r:5/x@sha256:" + "a" * 64
    with pytest.raises(CliError, match="must be lowercase"):
        named("BUSYBOX")
