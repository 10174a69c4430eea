"""One image's manifest as docker's ``manifest`` commands keep and show it.

The files under ``~/.docker/manifests`` and ``inspect --verbose`` have this form::

    {"Ref": "docker.io/library/busybox:latest",
     "Descriptor": {"mediaType": ..., "digest": ..., "size": ..., "platform": {...}},
     "Raw": "<base64 of the manifest's bytes>",
     "SchemaV2Manifest" or "OCIManifest": {the manifest}}
"""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.format.references import Reference, parse
from pierhead.client.json_fast import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant")


def named(text: str) -> Reference:
    """A reference with its default tag. Raises ``CliError`` with docker's text."""
    try:
        ref = parse(text)
    except ValueError as error:
        raise CliError(str(error)) from error
    if not ref.digest and not ref.tag:
        ref.tag = "latest"
    return ref


def platform_of(document: dict[str, Any]) -> dict[str, Any]:
    """The platform fields of a config or a descriptor, in docker's order."""
    platform: dict[str, Any] = {
        "architecture": str(document.get("architecture") or ""),
        "os": str(document.get("os") or ""),
    }
    for key in _PLATFORM[2:]:
        if document.get(key):
            platform[key] = document[key]
    return platform


class Record:
    """``raw`` are the manifest's exact bytes, ``digest`` theirs; ``platform`` may be changed."""

    __slots__ = ("digest", "media_type", "platform", "raw", "ref")

    def __init__(
        self, ref: str, media_type: str, digest: str, raw: bytes, platform: dict[str, Any] | None
    ) -> None:
        self.ref = ref
        self.media_type = media_type
        self.digest = digest
        self.raw = raw
        self.platform = platform

    @property
    def document(self) -> dict[str, Any]:
        value = loads(self.raw.decode("utf-8", "replace"))
        return value if isinstance(value, dict) else {}

    def blobs(self) -> list[str]:
        """Digests of the config and the layers."""
        document = self.document
        found = [document.get("config") or {}, *(document.get("layers") or [])]
        return [str(each["digest"]) for each in found if each.get("digest")]

    def descriptor(self) -> dict[str, Any]:
        """As in ``Descriptor``."""
        out: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.raw),
        }
        if self.platform is not None:
            out["platform"] = self.platform
        return out

    def entry(self) -> dict[str, Any]:
        """As in a manifest list."""
        return {
            "mediaType": self.media_type,
            "size": len(self.raw),
            "digest": self.digest,
            "platform": self.platform or platform_of({}),
        }

    def to_json(self) -> str:
        """Compact; the manifest's own text goes in as it is."""
        from binascii import b2a_base64

        kind = "OCIManifest" if self.media_type == OCI_MANIFEST else "SchemaV2Manifest"
        raw = b2a_base64(self.raw, newline=False).decode()
        return (
            f'{{"Ref":{dumps(self.ref)},"Descriptor":{dumps(self.descriptor())},'
            f'"Raw":{dumps(raw)},"{kind}":{self.raw.decode("utf-8", "replace")}}}'
        )

    @classmethod
    def from_json(cls, text: str, path: str) -> Record:
        """Also reads what older clients wrote: no ``Raw``, or ``Digest`` and ``Platform``.

        Raises ``CliError`` for what is damaged.
        """
        from binascii import a2b_base64
        from hashlib import sha256

        try:
            value = loads(text)
            oci = value.get("OCIManifest")
            document = oci or value.get("SchemaV2Manifest")
            old = value.get("Descriptor") or {}
            digest = str(old.get("digest") or value.get("Digest") or "")
            platform = old.get("platform") or value.get("Platform")
            raw = a2b_base64(value["Raw"]) if value.get("Raw") else _rebuilt(document, oci)
            ref = str(value["Ref"])
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CliError(f"invalid manifest file {path}: {error}") from error
        found = f"sha256:{sha256(raw).hexdigest()}"
        if digest != found:
            raise CliError(f"internal digest mismatch for {ref}: expected {digest}, got {found}")
        media_type = str(old.get("mediaType") or (OCI_MANIFEST if oci else DOCKER_MANIFEST))
        return cls(ref, media_type, digest, raw, platform_of(platform) if platform else None)


def _rebuilt(document: Any, oci: Any) -> bytes:
    """The bytes that the tools of the time would have sent to a registry."""
    import json

    if not isinstance(document, dict):
        raise ValueError("it has no manifest")
    return json.dumps(document, indent=2 if oci else 3, ensure_ascii=False).encode()


def list_document(records: list[Record]) -> tuple[str, str]:
    """The list of ``records`` as docker writes it, and its media type."""
    oci = bool(records) and records[0].media_type == OCI_MANIFEST
    media_type = OCI_INDEX if oci else DOCKER_LIST
    from pierhead.cli.gotemplate.json_text import indent

    value = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [record.entry() for record in records],
    }
    return indent(dumps(value), "   "), media_type
