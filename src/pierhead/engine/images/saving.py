"""``docker save``: one archive that is an OCI layout and a docker archive at once.

The layout is that of Docker 25 and later, which every version since 1.10, podman and
skopeo load::

    blobs/sha256/<hex>   layers (plain tars), configs, manifests
    index.json           OCI index, one entry per name
    manifest.json        Docker's list: Config, RepoTags, Layers
    oci-layout
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pierhead.engine.images.feed import out_of_pipe
from pierhead.engine.images.index import ImageIndex, display
from pierhead.engine.images.model import Image
from pierhead.errors import Internal, InvalidParameter, NotFound
from pierhead.oci import manifest, reference, tar
from pierhead.oci.digest import ChainId, hex_of, is_digest, is_hex, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest, PlatformField
from pierhead.oci.tar import Header
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

log = logging.getLogger(__name__)

_BLOBS: Final = "blobs/sha256/"


@dataclass(slots=True)
class Plan:
    """Which images, each with the names (familiar) it is saved under."""

    images: list[Image]
    names: dict[str, list[str]]


def plan(index: ImageIndex, refs: list[str]) -> Plan:
    """Find all of ``refs``. Raises ``NotFound``, ``InvalidParameter``."""
    if not refs:
        raise InvalidParameter("no images to save: give at least one name")
    found: dict[str, Image] = {}
    names: dict[str, list[str]] = {}

    def take(image: Image, name: str | None) -> None:
        found.setdefault(image.id, image)
        known = names.setdefault(image.id, [])
        if name is not None and name not in known:
            known.append(name)

    for text in refs:
        if is_digest(text) or (len(text) == 64 and is_hex(text)):
            take(index.get(text), None)
            continue
        ref = reference.parse(text)
        if ref.is_name_only:
            tagged = sorted(
                stored for stored in index.refs if reference.parse_stored(stored).name == ref.name
            )
            for stored in tagged:
                take(index.images[index.refs[stored]], _tag_of(stored))
            if not tagged:
                take(index.get(text), None)
            continue
        image = index.by_ref(ref)
        if image is None:
            raise NotFound(f"No such image: {display(text)}")
        take(image, ref.familiar if ref.digest is None else None)
    return Plan(list(found.values()), names)


def _tag_of(stored: str) -> str | None:
    ref = reference.parse_stored(stored)
    return ref.familiar if ref.digest is None else None


async def stream(
    wanted: Plan, index: ImageIndex, blobs: BlobStore, snapshots: Snapshotter
) -> AsyncIterator[bytes]:
    """The archive. Layers can't be removed while it runs."""
    chains = [chain for image in wanted.images for chain in image.chains]
    with index.hold(chains):
        yield _directory("blobs") + _directory("blobs/sha256")
        written: set[str] = set()
        listing: list[dict[str, Any]] = []
        entries: list[Descriptor] = []
        for image in wanted.images:
            layers: list[Descriptor] = []
            for diff_id, chain_id in zip(image.config.rootfs.diff_ids, image.chains, strict=True):
                record = snapshots.layer(chain_id)
                if record is None:
                    raise Internal(f"layer {chain_id} of image {image.id} is missing")
                layers.append(
                    Descriptor(
                        media_type=manifest.OCI_LAYER,
                        digest=_digest(diff_id),
                        size=record.tar_bytes,
                    )
                )
                if diff_id not in written:
                    written.add(diff_id)
                    async for chunk in _layer(snapshots, chain_id, diff_id, record.tar_bytes):
                        yield chunk
            config = blobs.read(image.id)
            entry = Manifest(
                media_type=manifest.OCI_MANIFEST,
                config=Descriptor(
                    media_type=manifest.OCI_CONFIG, digest=_digest(image.id), size=len(config)
                ),
                layers=layers,
            )
            encoded = manifest.encode(entry)
            for data in (config, encoded):
                digest = sha256(data)
                if digest not in written:
                    written.add(digest)
                    yield _file(_BLOBS + hex_of(digest), data)
            names = wanted.names[image.id]
            entries += _index_entries(image, encoded, names)
            item: dict[str, Any] = {
                "Config": _BLOBS + hex_of(image.id),
                "RepoTags": names or None,
                "Layers": [_BLOBS + hex_of(layer.digest) for layer in layers],
            }
            if image.parent in wanted.names:
                item["Parent"] = image.parent
            listing.append(item)
        yield _file(
            "index.json", manifest.encode(Index(media_type=manifest.OCI_INDEX, manifests=entries))
        )
        yield _file("manifest.json", json.dumps(listing, separators=(",", ":")).encode())
        yield _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}') + bytes(2 * tar.BLOCK)


def _digest(text: str) -> Any:
    return text


def _index_entries(image: Image, encoded: bytes, names: list[str]) -> list[Descriptor]:
    def entry(annotations: dict[str, str] | None) -> Descriptor:
        return Descriptor(
            media_type=manifest.OCI_MANIFEST,
            digest=sha256(encoded),
            size=len(encoded),
            platform=PlatformField(
                architecture=image.config.architecture,
                os=image.config.os or "linux",
                variant=image.config.variant,
            ),
            annotations=annotations,
        )

    if not names:
        return [entry(None)]
    entries = []
    for name in names:
        ref = reference.parse(name)
        entries.append(
            entry(
                {
                    manifest.ANNOTATION_IMAGE_NAME: str(ref),
                    manifest.ANNOTATION_REF_NAME: ref.tag or "",
                }
            )
        )
    return entries


async def _layer(
    snapshots: Snapshotter, chain_id: ChainId, diff_id: str, size: int
) -> AsyncIterator[bytes]:
    yield tar.build_header(
        Header(f"{_BLOBS}{hex_of(diff_id)}".encode(), tar.REGULAR, 0o644, size=size)
    )
    sent = 0
    async for chunk in out_of_pipe(lambda fd: snapshots.layer_tar(chain_id, fd)):
        sent += len(chunk)
        yield chunk
    if sent != size:
        raise Internal(
            f"layer {chain_id} has {sent} bytes instead of {size}: its files are damaged"
        )
    if fill := tar.padding(size):
        yield bytes(fill)


def _directory(name: str) -> bytes:
    return tar.build_header(Header(name.encode(), tar.DIRECTORY, 0o755))


def _file(name: str, data: bytes) -> bytes:
    header = Header(name.encode(), tar.REGULAR, 0o644, size=len(data))
    return tar.build_header(header) + data + bytes(tar.padding(len(data)))


def discard(path: Path) -> None:
    """Remove a scratch file or directory, whatever is in it."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("scratch not removed", extra={"path": str(path), "error": str(error)})
