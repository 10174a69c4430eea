"""Descriptors, manifests and indexes: OCI image-spec and Docker schema 2 share their shape."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import Digest

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"

INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFEST_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIG_TYPES: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})

IN_TOTO: Final = "application/vnd.in-toto+json"

ANNOTATION_REF_NAME: Final = "org.opencontainers.image.ref.name"
ANNOTATION_IMAGE_NAME: Final = "io.containerd.image.name"


class PlatformField(msgspec.Struct, kw_only=True, omit_defaults=True):
    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")


class Descriptor(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """Points at a blob: what it is, its digest, its size in bytes."""

    media_type: str = ""
    digest: Digest
    size: int
    platform: PlatformField | None = None
    annotations: dict[str, str] | None = None
    artifact_type: str = ""
    urls: list[str] | None = None
    """Where else to get it (foreign layers, which registries don't hold)."""


class Manifest(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """One image for one platform."""

    schema_version: int = 2
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: list[Descriptor] = []
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """Several manifests, or further indexes (OCI index, Docker manifest list)."""

    schema_version: int = 2
    media_type: str = ""
    manifests: list[Descriptor] = []
    annotations: dict[str, str] | None = None


def attests(manifest: Manifest) -> bool:
    """Whether it has attestations for layers: BuildKit gives those an image's config, too."""
    return bool(manifest.layers) and all(layer.media_type == IN_TOTO for layer in manifest.layers)


def decode_manifest(data: bytes) -> Manifest | Index:
    """Decode either kind, told apart by their fields. Raises ``InvalidParameter``."""
    document = decode_object(data, "manifest")
    type_ = document.get("mediaType")
    is_index = type_ in INDEX_TYPES or (type_ not in MANIFEST_TYPES and "manifests" in document)
    try:
        if is_index:
            return msgspec.convert(document, Index)
        return msgspec.convert(document, Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidParameter(f"invalid manifest: {error}") from error


def decode_object(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object without nulls; ``InvalidParameter`` naming ``what`` otherwise."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"invalid {what}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidParameter(f"invalid {what}: not a JSON object")
    return {key: value for key, value in document.items() if value is not None}


def encode(value: Manifest | Index | Descriptor) -> bytes:
    """Canonical bytes (sorted keys) of what we make ourselves."""
    document = msgspec.to_builtins(value)
    if isinstance(value, Manifest | Index):
        document["schemaVersion"] = value.schema_version
    if isinstance(value, Manifest):
        document.setdefault("layers", [])
    if isinstance(value, Index):
        document.setdefault("manifests", [])
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
