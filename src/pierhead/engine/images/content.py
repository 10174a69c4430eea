"""What images are made of besides layers: manifests, indexes and compressed layer blobs.

An image is known by the digest of its config. What a registry knows it by are manifests
(several may lead to one config: other compression, other annotations) and indexes of
manifests for several platforms. They lie in the blob store byte for byte; this module
records which there are and what they lead to. It also records which compressed blobs
decompress to which layer tar (diff id), and which repositories were seen to have a blob.

Nothing here decides what stays: see ``collecting.py``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, TypeVar

from pierhead.errors import InvalidParameter
from pierhead.oci import manifest
from pierhead.oci.digest import ChainId, DiffId, Digest, ImageId, is_digest, sha256
from pierhead.oci.manifest import Descriptor, Index
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database

K = TypeVar("K")

SOURCES_LIMIT: Final = 16
"""How many repositories are remembered for one blob."""


@dataclass(frozen=True, slots=True)
class RawManifest:
    """A manifest or index as it came: ``add`` keeps exactly these bytes."""

    data: bytes
    media_type: str

    @property
    def digest(self) -> Digest:
        return sha256(self.data)


@dataclass(frozen=True, slots=True)
class Kept:
    """A manifest or index that is held; its bytes are the blob ``digest``."""

    digest: Digest
    media_type: str
    size_bytes: int
    image_id: ImageId | None = None
    """The config a manifest leads to (the image may be gone); ``None`` for an index."""
    children: tuple[Digest, ...] = ()
    """An index's manifests, in its order, held or not."""

    @property
    def is_index(self) -> bool:
        return self.media_type in manifest.INDEX_TYPES

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size_bytes)


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A compressed form of a layer. Whether its bytes are here: ``BlobStore.exists``."""

    diff_id: DiffId
    digest: Digest
    size_bytes: int
    media_type: str


class Lease:
    """Keeps blobs and layers from the collector while an operation counts on them.

    In memory: it ends with the process. First lease, then look whether it is there.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._chains: list[ChainId] = []
        self._blobs: list[str] = []

    def add_chains(self, chains: Iterable[ChainId]) -> None:
        for chain_id in chains:
            self._chains.append(chain_id)
            _count(self._content.held_chains, chain_id, 1)

    def add_blobs(self, digests: Iterable[str]) -> None:
        """Also for digests that aren't here yet: whoever writes them calls this before."""
        for digest in digests:
            self._blobs.append(digest)
            _count(self._content.held_blobs, digest, 1)

    def release(self) -> None:
        """Let go of everything; no error the second time."""
        chains, self._chains = self._chains, []
        blobs, self._blobs = self._blobs, []
        for chain_id in chains:
            _count(self._content.held_chains, chain_id, -1)
        for digest in blobs:
            _count(self._content.held_blobs, digest, -1)
        if chains or blobs:
            self._content.on_release(tuple(dict.fromkeys(chains)))

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _count(counts: dict[K, int], key: K, step: int) -> None:
    now = counts.get(key, 0) + step
    if now > 0:
        counts[key] = now
    else:
        counts.pop(key, None)


class Content:
    """The records of manifests, layer blobs and sources. Part of ``ImageIndex``.

    Manifests are in memory (a few hundred bytes each), the rest is asked of the database:
    tens of microseconds.
    """

    def __init__(self, db: Database, blobs: BlobStore) -> None:
        self._db = db
        self._blobs = blobs
        self.manifests: dict[Digest, Kept] = {}
        self.by_image: dict[ImageId, list[Digest]] = {}
        """Manifests that lead to an image, oldest first."""
        self.parents: dict[Digest, list[Digest]] = {}
        """Indexes that list a manifest (which may not be held)."""
        self.held_chains: dict[ChainId, int] = {}
        self.held_blobs: dict[str, int] = {}
        self.on_release: Callable[[tuple[ChainId, ...]], None] = lambda chains: None
        """Called when a lease has ended, with the layers it held. Set by the service."""
        for digest, media_type, size_bytes, image_id, children in db.rows(
            "SELECT digest, media_type, size_bytes, image_id, children FROM manifests"
        ):
            is_index = media_type in manifest.INDEX_TYPES
            self._remember(
                Kept(
                    digest,
                    sys.intern(media_type),
                    size_bytes,
                    image_id,
                    tuple(json.loads(children)) if is_index and children else (),
                )
            )

    def lease(self) -> Lease:
        """A new lease that holds nothing yet."""
        return Lease(self)

    # Manifests

    def put(self, raw: RawManifest) -> Kept:
        """Keep a manifest or index: its bytes as a blob, and a row. Known ones are left.

        To be called within the transaction that also names it (or its image), or under a
        lease: the collector takes what nothing leads to. ``InvalidParameter`` if broken.
        """
        digest = raw.digest
        if (known := self.manifests.get(digest)) is not None:
            return known
        decoded = manifest.decode_manifest(raw.data)
        if isinstance(decoded, Index):
            image_id, members = None, tuple(item.digest for item in decoded.manifests)
        else:
            is_image = decoded.config.media_type in manifest.CONFIG_TYPES
            image_id = ImageId(decoded.config.digest) if is_image else None
            members = (decoded.config.digest, *(item.digest for item in decoded.layers))
        for member in members:
            if not is_digest(member):
                raise InvalidParameter(f"invalid manifest: bad digest {member[:100]!r}")
        media_type = sys.intern(raw.media_type or decoded.media_type)
        kept = Kept(
            digest, media_type, len(raw.data), image_id,
            members if isinstance(decoded, Index) else (),
        )  # fmt: skip
        self._blobs.put(raw.data)
        self._db.execute(
            "INSERT OR REPLACE INTO manifests (digest, media_type, size_bytes, image_id, children)"
            " VALUES (?, ?, ?, ?, ?)",
            (digest, media_type, len(raw.data), image_id, json.dumps(members)),
        )
        self._remember(kept)
        return kept

    def _remember(self, kept: Kept) -> None:
        self.manifests[kept.digest] = kept
        if kept.image_id is not None:
            self.by_image.setdefault(kept.image_id, []).append(kept.digest)
        for child in kept.children:
            self.parents.setdefault(child, []).append(kept.digest)

    def withdraw(self, before: set[Digest]) -> None:
        """After a transaction that failed: in memory, only ``before`` are known again."""
        for digest in set(self.manifests) - before:
            self._forget(self.manifests[digest])

    def forget(self, digest: Digest) -> None:
        """Drop the row of a manifest (not its blob: the collector does that)."""
        kept = self.manifests.get(digest)
        if kept is None:
            return
        self._db.execute("DELETE FROM manifests WHERE digest = ?", (digest,))
        self._forget(kept)

    def _forget(self, kept: Kept) -> None:
        self.manifests.pop(kept.digest, None)
        if kept.image_id is not None:
            _drop(self.by_image, kept.image_id, kept.digest)
        for child in kept.children:
            _drop(self.parents, child, kept.digest)

    def members(self) -> dict[Digest, tuple[Digest, ...]]:
        """What every held manifest lists: its config and layers, or an index's manifests."""
        return {
            digest: tuple(json.loads(children)) if children else ()
            for digest, children in self._db.rows("SELECT digest, children FROM manifests")
        }

    # Layer blobs

    def add_layer_blob(self, diff_id: DiffId, blob: Descriptor) -> None:
        """Record that ``blob`` decompresses to the tar ``diff_id`` (verified by the caller)."""
        self._db.execute(
            "INSERT OR REPLACE INTO layer_blobs (diff_id, digest, size_bytes, media_type) "
            "VALUES (?, ?, ?, ?)",
            (diff_id, blob.digest, blob.size, blob.media_type),
        )

    def layer_blobs(self, diff_id: DiffId) -> list[LayerBlob]:
        """The compressed forms that are known of a layer, those whose bytes are here first."""
        found = [
            LayerBlob(diff_id, *row)
            for row in self._db.rows(
                "SELECT digest, size_bytes, media_type FROM layer_blobs WHERE diff_id = ?",
                (diff_id,),
            )
        ]
        return sorted(found, key=lambda blob: not self._blobs.exists(blob.digest))

    def diff_id_of(self, digest: str) -> DiffId | None:
        """Which layer a compressed blob gives, as far as known: it needn't be downloaded then.

        The layer itself may be here or not: ask the snapshotter for its chain id.
        """
        row = self._db.row("SELECT diff_id FROM layer_blobs WHERE digest = ?", (digest,))
        return DiffId(row[0]) if row is not None else None

    def drop_layer_blobs(self, needed: set[DiffId], stay: set[str]) -> set[str]:
        """Forget blobs of layers that aren't ``needed``, except those in ``stay``.

        Returns the digests of those that are left.
        """
        left: set[str] = set()
        gone: list[tuple[str, str]] = []
        for diff_id, digest in self._db.rows("SELECT diff_id, digest FROM layer_blobs"):
            if diff_id in needed or digest in stay:
                left.add(digest)
            else:
                gone.append((diff_id, digest))
        if gone:
            self._db.executemany("DELETE FROM layer_blobs WHERE diff_id = ? AND digest = ?", gone)
        return left

    # Sources

    def drop_sources(self, stay: set[str]) -> None:
        """Forget where blobs are from that aren't in ``stay``."""
        gone = [
            (digest,)
            for (digest,) in self._db.rows("SELECT DISTINCT digest FROM blob_sources")
            if digest not in stay
        ]
        if gone:
            self._db.executemany("DELETE FROM blob_sources WHERE digest = ?", gone)

    def add_source(self, digest: str, repository: str) -> None:
        """Remember that ``repository`` ("docker.io/library/busybox") has this blob."""
        self._db.execute(
            "INSERT OR REPLACE INTO blob_sources (digest, repository, seen_ns) VALUES (?, ?, ?)",
            (digest, repository, time.time_ns()),
        )
        self._db.execute(
            "DELETE FROM blob_sources WHERE digest = ? AND repository NOT IN (SELECT repository "
            "FROM blob_sources WHERE digest = ? ORDER BY seen_ns DESC LIMIT ?)",
            (digest, digest, SOURCES_LIMIT),
        )

    def sources(self, digest: str) -> list[str]:
        """Repositories that were seen to have this blob, the latest first."""
        return [
            row[0]
            for row in self._db.rows(
                "SELECT repository FROM blob_sources WHERE digest = ? ORDER BY seen_ns DESC",
                (digest,),
            )
        ]

    def drop_source(self, digest: str, repository: str) -> None:
        """It turned out not to have it."""
        self._db.execute(
            "DELETE FROM blob_sources WHERE digest = ? AND repository = ?", (digest, repository)
        )


def _drop(lists: dict[K, list[Digest]], key: K, item: Digest) -> None:
    rest = [each for each in lists.get(key, ()) if each != item]
    if rest:
        lists[key] = rest
    else:
        lists.pop(key, None)
