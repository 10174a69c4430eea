from __future__ import annotations

import json

from pierhead.build.export import documents
from pierhead.oci import manifest as oci
from pierhead.oci.digest import sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest
from unit.build.export.conftest import AMD64

LAYER = Descriptor(media_type=oci.DOCKER_LAYER, digest=sha256(b"layer"), size=5)


def test_media_types_are_of_one_family() -> None:
    docker = documents.image_manifest(b"{}", [LAYER], AMD64, is_oci=False)
    ours = documents.image_manifest(b"{}", [LAYER], AMD64, is_oci=True)
    assert docker.descriptor.media_type == oci.DOCKER_MANIFEST
    assert json.loads(docker.data)["layers"][0]["mediaType"] == oci.DOCKER_LAYER
    assert json.loads(ours.data)["layers"][0]["mediaType"] == f"{oci.OCI_LAYER}+gzip"
    assert json.loads(ours.data)["config"]["mediaType"] == oci.OCI_CONFIG
    plain = Descriptor(media_type=oci.OCI_LAYER, digest=sha256(b"tar"), size=3)
    assert documents.layer_descriptor(plain, is_oci=False).media_type.endswith(".diff.tar")


def test_manifests_decode_as_what_they_are() -> None:
    written = documents.image_manifest(b"{}", [LAYER], AMD64, is_oci=True, annotations={"a": "b"})
    decoded = oci.decode_manifest(written.data)
    assert isinstance(decoded, Manifest) and decoded.annotations == {"a": "b"}
    assert written.descriptor.digest == sha256(written.data)
    index = documents.image_index([written.descriptor], is_oci=True)
    decoded_index = oci.decode_manifest(index.data)
    assert isinstance(decoded_index, Index)
    assert decoded_index.manifests[0].platform is not None
    assert decoded_index.manifests[0].platform.architecture == "amd64"


def test_an_attestation_manifest_points_at_its_image() -> None:
    subject = documents.image_manifest(b"{}", [LAYER], AMD64, is_oci=True).descriptor
    statement = {"_type": "t", "predicateType": "p", "subject": [], "predicate": {}}
    attested = documents.attestation_manifest(subject, [statement])
    notes = attested.manifest.descriptor.annotations
    assert notes == {
        "vnd.docker.reference.digest": subject.digest,
        "vnd.docker.reference.type": "attestation-manifest",
    }
    config, blob = attested.blobs
    document = json.loads(attested.manifest.data)
    assert document["layers"][0]["digest"] == sha256(blob)
    assert document["layers"][0]["annotations"] == {"in-toto.io/predicate-type": "p"}
    assert json.loads(config)["rootfs"]["diff_ids"] == [sha256(blob)]
    artifact = documents.attestation_manifest(subject, [statement], artifact=True)
    assert json.loads(artifact.manifest.data)["subject"]["digest"] == subject.digest
    assert artifact.blobs[0] == b"{}"
