"""Manifests, indexes and attestation manifests, written as BuildKit writes them. No IO."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pierhead.engine.images.content import RawManifest
from pierhead.oci import manifest as oci
from pierhead.oci.digest import sha256
from pierhead.oci.manifest import Descriptor, PlatformField
from pierhead.oci.platform import Platform

PREDICATE: Final = "in-toto.io/predicate-type"
REFERENCE_TYPE: Final = "vnd.docker.reference.type"
REFERENCE_DIGEST: Final = "vnd.docker.reference.digest"
ATTESTATION: Final = "attestation-manifest"
ARTIFACT_TYPE: Final = "application/vnd.docker.attestation.manifest.v1+json"
EMPTY_JSON: Final = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True)
class Written:
    """A document's bytes and its descriptor."""

    data: bytes
    descriptor: Descriptor

    @property
    def raw(self) -> RawManifest:
        return RawManifest(self.data, self.descriptor.media_type)


@dataclass(frozen=True, slots=True)
class Attested:
    """An attestation manifest and the blobs it names (config, statements)."""

    manifest: Written
    blobs: tuple[bytes, ...]


def platform_field(platform: Platform) -> PlatformField:
    return PlatformField(
        architecture=platform.architecture, os=platform.os, variant=platform.variant
    )


def image_manifest(
    config: bytes,
    layers: Sequence[Descriptor],
    platform: Platform,
    *,
    is_oci: bool,
    annotations: Mapping[str, str] | None = None,
    descriptor_annotations: Mapping[str, str] | None = None,
) -> Written:
    """One image's manifest."""
    config_type = oci.OCI_CONFIG if is_oci else oci.DOCKER_CONFIG
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_MANIFEST if is_oci else oci.DOCKER_MANIFEST,
        "config": descriptor_entry(
            Descriptor(media_type=config_type, digest=sha256(config), size=len(config))
        ),
        "layers": [descriptor_entry(layer_descriptor(layer, is_oci=is_oci)) for layer in layers],
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    return _written(document, platform_field(platform), descriptor_annotations)


def layer_descriptor(layer: Descriptor, *, is_oci: bool) -> Descriptor:
    """A layer under the media type of the manifest's family."""
    kind = layer.media_type
    gzip = kind == oci.DOCKER_LAYER or kind.endswith("+gzip") or kind.endswith(".gzip")
    if gzip:
        kind = f"{oci.OCI_LAYER}+gzip" if is_oci else oci.DOCKER_LAYER
    elif kind == oci.OCI_LAYER and not is_oci:
        kind = oci.DOCKER_LAYER.removesuffix(".gzip")
    return Descriptor(media_type=kind, digest=layer.digest, size=layer.size, urls=layer.urls)


def image_index(
    manifests: Sequence[Descriptor],
    *,
    is_oci: bool,
    annotations: Mapping[str, str] | None = None,
    descriptor_annotations: Mapping[str, str] | None = None,
) -> Written:
    """The index above several manifests."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_INDEX if is_oci else oci.DOCKER_LIST,
        "manifests": [descriptor_entry(each) for each in manifests],
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    return _written(document, None, descriptor_annotations)


def attestation_manifest(
    subject: Descriptor, statements: Sequence[Mapping[str, Any]], *, artifact: bool = False
) -> Attested:
    """What stands beside ``subject`` in the index: one layer for each in-toto statement."""
    blobs = [json.dumps(statement, separators=(",", ":")).encode() for statement in statements]
    layers = [
        {
            "mediaType": oci.IN_TOTO,
            "digest": sha256(blob),
            "size": len(blob),
            "annotations": {PREDICATE: statement["predicateType"]},
        }
        for blob, statement in zip(blobs, statements, strict=True)
    ]
    if artifact:
        config, config_type = b"{}", EMPTY_JSON
    else:
        config_type = oci.OCI_CONFIG
        config = json.dumps(
            {
                "architecture": "unknown",
                "os": "unknown",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
            },
            separators=(",", ":"),
        ).encode()
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST}
    if artifact:
        document["artifactType"] = ARTIFACT_TYPE
    document["config"] = {
        "mediaType": config_type, "digest": sha256(config), "size": len(config)
    }  # fmt: skip
    document["layers"] = layers
    if artifact:
        document["subject"] = {
            "mediaType": subject.media_type, "digest": subject.digest, "size": subject.size
        }  # fmt: skip
    notes = {REFERENCE_DIGEST: str(subject.digest), REFERENCE_TYPE: ATTESTATION}
    unknown = PlatformField(architecture="unknown", os="unknown")
    return Attested(_written(document, unknown, notes), (config, *blobs))


def _written(
    document: dict[str, Any],
    platform: PlatformField | None,
    annotations: Mapping[str, str] | None,
) -> Written:
    data = json.dumps(document, indent=2, ensure_ascii=False).encode()
    return Written(
        data,
        Descriptor(
            media_type=document["mediaType"],
            digest=sha256(data),
            size=len(data),
            platform=platform,
            annotations=dict(sorted(annotations.items())) if annotations else None,
        ),
    )


def descriptor_entry(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor in Go's order of fields."""
    entry: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.urls:
        entry["urls"] = descriptor.urls
    if descriptor.annotations:
        entry["annotations"] = descriptor.annotations
    if descriptor.platform is not None:
        platform = descriptor.platform
        entry["platform"] = {"architecture": platform.architecture, "os": platform.os}
        if platform.variant:
            entry["platform"]["variant"] = platform.variant
    return entry
