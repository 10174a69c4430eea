"""``docker load``: archives of docker (old and new), podman, skopeo, buildkit.

The archive is taken apart into scratch files first (its list of contents comes last), then
read as what it is: with ``manifest.json`` a docker archive, with ``index.json`` an OCI
layout, with ``repositories`` alone an archive of Docker before 1.10. Layers are unpacked
one by one; an image appears when all of it is there, or not at all.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pierhead import tasks
from pierhead.engine.events import EventBus
from pierhead.engine.images import saving
from pierhead.engine.images.events import image_event
from pierhead.engine.images.feed import through_pipe
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.engine.images.progress import bar
from pierhead.errors import InvalidParameter, PierError
from pierhead.linux import worker
from pierhead.oci import layer, manifest, reference
from pierhead.oci.digest import ChainId, DiffId, ImageId, chain_ids, hex_of, is_digest, sha256
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.manifest import Descriptor, Index
from pierhead.oci.platform import Platform
from pierhead.oci.reference import Reference
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Layer, LayerSource, Snapshotter

_JSON_LIMIT: Final = 8 << 20
_RESERVE_BYTES: Final = 256 << 20
_LINKS_LIMIT: Final = 8
_INDEX_DEPTH_LIMIT: Final = 4
_PROGRESS_S: Final = 0.1


@dataclass(slots=True)
class Candidate:
    """An image found in an archive: its config's bytes, its layers' files, its names."""

    config: bytes
    layers: list[str]
    names: list[Reference] = field(default_factory=list)
    parent: ImageId | None = None


class Archive:
    """The files of an archive that has been taken apart."""

    def __init__(self, directory: Path, contents: dict[str, Any]) -> None:
        self._directory = directory
        self._files: dict[str, list[Any]] = contents["files"]
        self._links: dict[str, str] = contents["links"]

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def _find(self, name: str) -> list[Any] | None:
        name = os.fsdecode(layer.clean_name(os.fsencode(name)))
        for _ in range(_LINKS_LIMIT):
            if name in self._files:
                return self._files[name]
            if name not in self._links:
                return None
            name = self._links[name]
        return None

    def names(self) -> list[str]:
        return [*self._files, *self._links]

    def _required(self, name: str) -> list[Any]:
        found = self._find(name)
        if found is None:
            raise InvalidParameter(f"invalid archive: {name} is missing")
        return found

    def size(self, name: str) -> int:
        return int(self._required(name)[1])

    def open(self, name: str) -> int:
        """A descriptor to read ``name`` from."""
        return os.open(self._directory / str(self._required(name)[0]), os.O_RDONLY | os.O_CLOEXEC)

    def read(self, name: str) -> bytes:
        """A JSON document: whole, with a limit."""
        number, size, _ = self._required(name)
        if size > _JSON_LIMIT:
            raise InvalidParameter(f"invalid archive: {name} has {size} bytes, that is too many")
        return (self._directory / str(number)).read_bytes()

    def blob(self, descriptor: Descriptor) -> bytes:
        """A small blob of an OCI layout, its digest checked."""
        data = self.read(blob_name(descriptor))
        if sha256(data) != descriptor.digest:
            raise InvalidParameter(
                f"invalid archive: blob {descriptor.digest} has the digest {sha256(data)}"
            )
        return data


def blob_name(descriptor: Descriptor) -> str:
    """Where an OCI layout keeps a blob."""
    if not is_digest(descriptor.digest):
        raise InvalidParameter(f"invalid archive: bad digest {descriptor.digest[:100]!r}")
    return f"blobs/sha256/{hex_of(descriptor.digest)}"


class Loader:
    """One load."""

    def __init__(
        self,
        paths: Paths,
        index: ImageIndex,
        snapshots: Snapshotter,
        events: EventBus,
        platform: Platform,
    ) -> None:
        self._paths = paths
        self._index = index
        self._snapshots = snapshots
        self._events = events
        self._platform = platform

    async def run(
        self, chunks: AsyncIterator[bytes], *, quiet: bool
    ) -> AsyncIterator[dict[str, Any]]:
        """See ``ImageService.load``."""
        directory = self._paths.tmp / f"load-{secrets.token_hex(8)}"
        directory.mkdir(mode=0o700)
        try:
            archive = Archive(directory, await self._split(chunks, directory))
            for candidate in await asyncio.to_thread(self._candidates, archive):
                async for message in self._load(archive, candidate):
                    if not quiet or "stream" in message:
                        yield message
        finally:
            await asyncio.shield(asyncio.to_thread(saving.discard, directory))

    async def _split(self, chunks: AsyncIterator[bytes], directory: Path) -> dict[str, Any]:
        free = os.statvfs(directory)
        limit_bytes = max(0, free.f_bavail * free.f_frsize - _RESERVE_BYTES)

        async def split(fd: int) -> dict[str, Any]:
            contents: dict[str, Any] = await worker.call(
                "store.archive:split",
                {"limit_bytes": limit_bytes},
                stdin=fd,
                jail=directory,
                site_packages=True,
            )
            return contents

        return await through_pipe(chunks, split)

    # What is in it

    def _candidates(self, archive: Archive) -> list[Candidate]:
        if "manifest.json" in archive:
            found = self._docker(archive)
        elif "index.json" in archive:
            found = self._oci(archive)
        elif "repositories" in archive:
            from pierhead.engine.images import legacy  # brings the decompressors: 2 MB

            found = [
                Candidate(config, layers, names) for config, layers, names in legacy.images(archive)
            ]
        else:
            raise InvalidParameter(
                "invalid archive: it has no manifest.json, index.json or repositories; "
                "to make an image of a root file system use import"
            )
        if not found:
            raise InvalidParameter(f"invalid archive: no image for {self._platform} in it")
        return found

    def _docker(self, archive: Archive) -> list[Candidate]:
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
                Candidate(
                    archive.read(config),
                    layers,
                    [_tagged(tag) for tag in tags],
                    ImageId(parent) if isinstance(parent, str) and is_digest(parent) else None,
                )
            )
        return found

    def _oci(self, archive: Archive) -> list[Candidate]:
        index = manifest.decode_manifest(archive.read("index.json"))
        if not isinstance(index, Index):
            raise InvalidParameter("invalid index.json: it lists no manifests")
        found: dict[str, Candidate] = {}
        for descriptor in index.manifests:
            candidate = self._oci_image(archive, descriptor, _INDEX_DEPTH_LIMIT)
            if candidate is None:
                continue
            known = found.setdefault(sha256(candidate.config), candidate)
            name = _annotated_name(descriptor)
            if name is not None and name not in known.names:
                known.names.append(name)
        return list(found.values())

    def _oci_image(self, archive: Archive, descriptor: Descriptor, depth: int) -> Candidate | None:
        """The image that ``descriptor`` leads to for our platform, if there is one."""
        if depth == 0:
            raise InvalidParameter("invalid archive: indexes are nested too deep")
        if blob_name(descriptor) not in archive:
            return None  # a part of an index that wasn't saved along
        decoded = manifest.decode_manifest(archive.blob(descriptor))
        if isinstance(decoded, Index):
            for child in decoded.manifests:
                platform = child.platform
                if platform is not None and not self._platform.matches(
                    platform.os, platform.architecture, platform.variant
                ):
                    continue
                candidate = self._oci_image(archive, child, depth - 1)
                if candidate is not None:
                    return candidate
            return None
        if decoded.config.media_type not in manifest.CONFIG_TYPES:
            return None  # an attestation or another artifact
        return Candidate(archive.blob(decoded.config), [blob_name(item) for item in decoded.layers])

    # Bringing it in

    async def _load(self, archive: Archive, candidate: Candidate) -> AsyncIterator[dict[str, Any]]:
        config = ImageConfig.decode(candidate.config)
        diff_ids = config.rootfs.diff_ids
        if config.os not in ("", self._platform.os):
            raise InvalidParameter(f"cannot load {config.os} image on {self._platform.os}")
        if len(diff_ids) != len(candidate.layers):
            raise InvalidParameter(
                f"invalid manifest, layers length mismatch: expected {len(candidate.layers)}, "
                f"got {len(diff_ids)}"
            )
        for diff_id in diff_ids:
            if not is_digest(diff_id):
                raise InvalidParameter(f"invalid image config: bad diff id {diff_id[:100]!r}")
        chains = chain_ids(diff_ids)
        with self._index.hold(chains):
            try:
                parent: ChainId | None = None
                for name, diff_id, chain_id in zip(candidate.layers, diff_ids, chains, strict=True):
                    if self._snapshots.layer(chain_id) is None:
                        async for message in self._apply(archive, name, parent, diff_id):
                            yield message
                    parent = chain_id
                known_parent = candidate.parent if candidate.parent in self._index.images else None
                image = self._index.add(candidate.config, parent=known_parent)
            except BaseException:
                failed = True
                raise
            else:
                failed = False
            finally:
                if failed:
                    tasks.spawn(self._forget(chains), name="forget a failed load")
        for message in self._name(image, candidate.names):
            yield message
        image_event(self._events, image, image.id, "load")

    async def _apply(
        self, archive: Archive, name: str, parent: ChainId | None, diff_id: DiffId
    ) -> AsyncIterator[dict[str, Any]]:
        """Unpack one layer; progress by how far its file has been read."""
        total = archive.size(name)
        short = hex_of(diff_id)[:12]
        fd = archive.open(name)

        def message(current: int) -> dict[str, Any]:
            return {
                "status": "Loading layer",
                "progressDetail": {"current": current, "total": total},
                "progress": bar(current, total),
                "id": short,
            }

        work = tasks.spawn(
            _outcome(self._snapshots.apply(LayerSource(fd, total), parent, diff_id)),
            name="unpack a layer",
        )
        try:
            shown = 0
            while not work.done():
                await asyncio.wait([work], timeout=_PROGRESS_S)
                current = os.lseek(fd, 0, os.SEEK_CUR)
                if not work.done() and current != shown:
                    shown = current
                    yield message(current)
            outcome = work.result()
            if isinstance(outcome, Exception):
                raise outcome
            if shown != total:
                yield message(total)
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait([work])
            os.close(fd)

    def _name(self, image: Image, names: list[Reference]) -> list[dict[str, Any]]:
        messages = []
        for ref in names:
            before = self._index.tag(image, ref)
            if before is not None and before in self._index.images:
                old = self._index.images[before]
                note = "" if old.refs else f"The image {ref.familiar} already exists, renaming the "
                if note:
                    messages.append({"stream": f"{note}old one with ID {before} to empty string\n"})
            messages.append({"stream": f"Loaded image: {ref.familiar}\n"})
        if not names:
            messages.append({"stream": f"Loaded image ID: {image.id}\n"})
        return messages

    async def _forget(self, chains: list[ChainId]) -> None:
        """Layers of an image that never came about."""
        for chain_id in reversed(chains):
            if self._snapshots.layer(chain_id) is None:
                continue
            if self._index.needed(chain_id):
                return
            try:
                await self._snapshots.remove_layer(chain_id)
            except PierError:
                return


async def _outcome(work: Any) -> Layer | Exception:
    try:
        result: Layer = await work
        return result
    except Exception as error:
        return error


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _tagged(text: str) -> Reference:
    ref = reference.parse(text)
    if ref.tag is None:
        raise InvalidParameter(f'invalid tag "{text}"')
    return ref


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
