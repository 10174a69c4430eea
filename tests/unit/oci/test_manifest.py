from __future__ import annotations

import json

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci import manifest
from pierhead.oci.digest import Digest
from pierhead.oci.manifest import Descriptor, Index, Manifest

DIGEST = Digest("sha256:" + "0" * 64)


def test_the_kind_is_told_by_type_or_by_fields() -> None:
    descriptor = {"mediaType": "x", "digest": DIGEST, "size": 1}
    image = {"schemaVersion": 2, "config": descriptor, "layers": [descriptor]}
    index = {"schemaVersion": 2, "manifests": [descriptor]}
    assert isinstance(manifest.decode_manifest(json.dumps(image).encode()), Manifest)
    assert isinstance(manifest.decode_manifest(json.dumps(index).encode()), Index)
    both = {**image, **index, "mediaType": manifest.DOCKER_MANIFEST}
    assert isinstance(manifest.decode_manifest(json.dumps(both).encode()), Manifest)
    both["mediaType"] = manifest.DOCKER_LIST
    assert isinstance(manifest.decode_manifest(json.dumps(both).encode()), Index)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"config": 1}', b'{"manifests": [{}]}'])
def test_bad_manifests_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid manifest"):
        manifest.decode_manifest(data)


def test_what_is_encoded_decodes() -> None:
    entry = Manifest(
        media_type=manifest.OCI_MANIFEST,
        config=Descriptor(media_type=manifest.OCI_CONFIG, digest=DIGEST, size=2),
    )
    encoded = manifest.encode(entry)
    assert b'"layers":[]' in encoded and b'"schemaVersion":2' in encoded
    assert manifest.decode_manifest(encoded) == entry
