"""Which images an archive holds: docker archives, OCI layouts, and both in one.

A layout that is both (Docker 25 and later, and ours) is read both ways: ``manifest.json``
says which images and names there are, ``index.json`` by which manifests and indexes they
are known, so that they keep their digests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pierhead.engine.images.content import RawManifest
from pierhead.engine.images.intake import blob_name
from pierhead.errors import InvalidParameter
from pierhead.oci import manifest, reference
from pierhead.oci.digest import DiffId, Digest, ImageId, is_digest, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest
from pierhead.oci.platform import Platform
from pierhead.oci.reference import Reference

INDEX_DEPTH_LIMIT: Final = 4


class Files(Protocol):
    """What is read here of an archive."""

    def __contains__(self, name: str) -> bool: ...
    def read(self, name: str) -> bytes: ...
    def blob(self, descriptor: Descriptor) -> bytes: ...


@dataclass(slots=True)
class Leaf:
    """An image for one platform."""

    config: bytes
    """Empty if ``make_config`` gives it."""
    layers: list[str]
    """Names of files, lowest layer first."""
    manifest: RawManifest | None = None
    descriptors: list[Descriptor] = field(default_factory=list)
    """Of ``layers``, where there is a manifest."""
    make_config: Callable[[list[DiffId]], bytes] | None = None


@dataclass(slots=True)
class Found:
    """What one name (or several) of an archive stands for: an image, or an index of images."""

    leaves: list[Leaf]
    names: list[Reference] = field(default_factory=list)
    target: Digest | None = None
    indexes: list[RawManifest] = field(default_factory=list)
    extras: list[tuple[RawManifest, list[Descriptor]]] = field(default_factory=list)
    """Manifests in the indexes that are no images (attestations), and what they list."""
    parent: ImageId | None = None


def find(archive: Files, host: Platform, wanted: list[Platform]) -> list[Found]:
    """All images of ``archive``, those for ``wanted`` platforms only, if any are given.

    Raises ``InvalidParameter`` if there is none, or a table of contents is broken.
    """
    if "manifest.json" in archive and not (wanted and "index.json" in archive):
        found = [
            image for image in _docker(archive) if not wanted or _is_for(image.leaves[0], wanted)
        ]
        if "index.json" in archive:
            _know(found, archive)
    elif "index.json" in archive:
        found = _oci(archive, wanted)
        _name_once(found, host)
    elif "repositories" in archive:
        from pierhead.engine.images import legacy  # hardly ever

        found = [
            Found([Leaf(b"", layers, make_config=make)], names)
            for layers, make, names in legacy.images(archive)
        ]
    else:
        raise InvalidParameter(
            "invalid archive: it has no manifest.json, index.json or repositories; "
            "to make an image of a root file system use import"
        )
    if not found:
        platforms = " or ".join(map(str, wanted)) or str(host)
        raise InvalidParameter(f"invalid archive: no image for {platforms} in it")
    return found


# Docker's list


def _docker(archive: Files) -> list[Found]:
    try:
        entries = json.loads(archive.read("manifest.json"))
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"invalid manifest.json: not JSON: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidParameter("invalid manifest.json: not a list of images")
    found = []
    for entry in entries:
        config, tags, layers = (
            entry.get("Config"), entry.get("RepoTags") or [], entry.get("Layers") or [],
        )  # fmt: skip
        if not isinstance(config, str) or not _strings(tags) or not _strings(layers):
            raise InvalidParameter("invalid manifest.json: want Config, RepoTags and Layers")
        parent = entry.get("Parent")
        found.append(
            Found(
                [Leaf(archive.read(config), layers)],
                [_tagged(tag) for tag in tags],
                parent=ImageId(parent) if isinstance(parent, str) and is_digest(parent) else None,
            )
        )
    return found


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _tagged(text: str) -> Reference:
    ref = reference.parse(text)
    if ref.tag is None:
        raise InvalidParameter(f'invalid tag "{text}"')
    return ref


def _know(found: list[Found], archive: Files) -> None:
    """Add what the OCI side of the archive knows about docker's images: manifests, variants.

    A manifest with a plain layer was made for the archive: nobody knows the image by it.
    """
    try:
        known = _oci(archive, [])
    except InvalidParameter:
        return  # Docker's list is enough
    for image in found:
        leaf = image.leaves[0]
        id_ = sha256(leaf.config)
        for other in known:
            twin = next((each for each in other.leaves if sha256(each.config) == id_), None)
            if twin is None or any(
                _is_plain(layer) for each in other.leaves for layer in each.descriptors
            ):
                continue
            if other.names and image.names and not set(other.names) & set(image.names):
                continue
            leaf.layers, leaf.descriptors, leaf.manifest = (
                twin.layers, twin.descriptors, twin.manifest,
            )  # fmt: skip
            image.leaves += [each for each in other.leaves if each is not twin]
            image.target, image.indexes, image.extras = (
                other.target, other.indexes, other.extras,
            )  # fmt: skip
            break


def _is_plain(layer: Descriptor) -> bool:
    return layer.media_type.endswith((".tar", ".diff"))


# OCI layouts


def _oci(archive: Files, wanted: list[Platform]) -> list[Found]:
    index = manifest.decode_manifest(archive.read("index.json"))
    if not isinstance(index, Index):
        raise InvalidParameter("invalid index.json: it lists no manifests")
    found: dict[Digest, Found] = {}
    for descriptor in index.manifests:
        if descriptor.digest not in found:
            image = Found([], target=descriptor.digest)
            _descend(archive, descriptor, wanted, image, INDEX_DEPTH_LIMIT)
            found[descriptor.digest] = image
        name = _annotated_name(descriptor)
        names = found[descriptor.digest].names
        if name is not None and name not in names:
            names.append(name)
    return [image for image in found.values() if image.leaves]


def _name_once(found: list[Found], host: Platform) -> None:
    """A name that several entries have is for the one that this host can run, or the last."""
    owners: dict[Reference, Found] = {}
    for image in found:
        for name in image.names:
            if name not in owners or not _is_for(owners[name].leaves[0], [host]):
                owners[name] = image
    for image in found:
        image.names = [name for name in image.names if owners[name] is image]


def _descend(
    archive: Files, descriptor: Descriptor, wanted: list[Platform], image: Found, depth: int
) -> None:
    """Collect the images that ``descriptor`` leads to."""
    if depth == 0:
        raise InvalidParameter("invalid archive: indexes are nested too deep")
    if blob_name(descriptor) not in archive:
        return  # a part of an index that wasn't saved along
    platform = descriptor.platform
    if platform is not None and wanted and platform.architecture:
        here = (platform.os, platform.architecture, platform.variant)
        if not any(each.matches(*here) for each in wanted):
            return
    data = archive.blob(descriptor)
    decoded = manifest.decode_manifest(data)
    raw = RawManifest(data, descriptor.media_type or decoded.media_type)
    if isinstance(decoded, Index):
        image.indexes.append(raw)
        for child in decoded.manifests:
            _descend(archive, child, wanted, image, depth - 1)
    elif decoded.config.media_type in manifest.CONFIG_TYPES and not manifest.attests(decoded):
        leaf = _leaf(archive, decoded, raw)
        if leaf is None or (image.indexes and not all(name in archive for name in leaf.layers)):
            return  # a part of an index of which only some documents were saved along
        if not wanted or _is_for(leaf, wanted):
            image.leaves.append(leaf)
    elif image.indexes:
        image.extras.append((raw, [decoded.config, *decoded.layers]))


def _leaf(archive: Files, decoded: Manifest, raw: RawManifest) -> Leaf | None:
    if blob_name(decoded.config) not in archive:
        return None
    layers = [blob_name(item) for item in decoded.layers]
    return Leaf(archive.blob(decoded.config), layers, raw, list(decoded.layers))


def _is_for(leaf: Leaf, wanted: list[Platform]) -> bool:
    document = manifest.decode_object(leaf.config, "image config")
    parts = [document.get(key) for key in ("os", "architecture", "variant")]
    os, architecture, variant = (part if isinstance(part, str) else "" for part in parts)
    return any(each.matches(os, architecture, variant) for each in wanted)


def _annotated_name(descriptor: Descriptor) -> Reference | None:
    """The name an index gives an image: containerd's whole one, or the OCI one if it is whole.

    A bare tag ("latest") names nothing, as there is no repository to go with it.
    """
    annotations = descriptor.annotations or {}
    for key in (manifest.ANNOTATION_IMAGE_NAME, manifest.ANNOTATION_REF_NAME):
        text = annotations.get(key, "")
        if key == manifest.ANNOTATION_REF_NAME and not ("/" in text or ":" in text):
            continue
        try:
            ref = reference.parse(text)
        except InvalidParameter:
            continue
        if ref.digest is None:
            return ref.with_default_tag()
    return None
