"""What a cache says: which keys have which results, and which layers those are. No IO.

Stored as the config of an OCI manifest whose layers are the cached layers (compressed) and
the tars of cache mounts::

    {"version": 1,
     "layers":  [{"diff_id": "sha256:…", "parent": -1, "blob": 0}, …],
     "records": [["sha256:…", 3, 0], …],   a step's key, its result's topmost layer, and when
                                           it was made (nanoseconds since 1970; 0: unknown)
     "mounts":  [{"id": "…", "name": "/root/.cache/pip", "blob": 7}]}

``parent`` and a record's number count in ``layers`` (-1: the empty tree), ``blob`` in the
manifest's layers. An inline cache (in an image's own config) has ``records`` only, which
count in the image's ``diff_ids``. Keys are those of ``build/plan``: BuildKit's caches say
nothing to us, nor ours to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import ChainId, DiffId, chain_ids, is_digest
from pierhead.oci.manifest import Descriptor

CONFIG_TYPE: Final = "application/vnd.pierhead.build.cache.v1+json"
MOUNT_TYPE: Final = "application/vnd.pierhead.build.mount.v1.tar+gzip"
BUILDKIT_CONFIG: Final = "application/vnd.buildkit.cacheconfig.v0"
INLINE_FIELD: Final = "io.pierhead.build.cache"
VERSION: Final = 1
RECORDS_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class CachedLayer:
    diff_id: DiffId
    parent: ChainId | None
    blob: Descriptor


@dataclass(frozen=True, slots=True)
class CachedMount:
    id: str
    name: str
    blob: Descriptor


@dataclass(slots=True)
class CacheDocument:
    """A cache, read or to be written. ``layers`` holds parents before children."""

    layers: dict[ChainId, CachedLayer] = field(default_factory=dict)
    records: dict[str, ChainId | None] = field(default_factory=dict)
    created: dict[str, int] = field(default_factory=dict)
    """When a record was made, nanoseconds since 1970, where that is known."""
    mounts: list[CachedMount] = field(default_factory=list)

    def encode(self) -> tuple[bytes, list[Descriptor]]:
        """The config's bytes, and the manifest's layers."""
        blobs: dict[str, int] = {}
        listed: list[Descriptor] = []

        def number(blob: Descriptor) -> int:
            if blob.digest not in blobs:
                blobs[blob.digest] = len(listed)
                listed.append(blob)
            return blobs[blob.digest]

        places = {chain_id: at for at, chain_id in enumerate(self.layers)}
        document = {
            "version": VERSION,
            "layers": [
                {
                    "diff_id": layer.diff_id,
                    "parent": places[layer.parent] if layer.parent is not None else -1,
                    "blob": number(layer.blob),
                }
                for layer in self.layers.values()
            ],
            "records": [
                [
                    key,
                    places[chain_id] if chain_id is not None else -1,
                    self.created.get(key, 0),
                ]
                for key, chain_id in self.records.items()
            ],
            "mounts": [
                {"id": mount.id, "name": mount.name, "blob": number(mount.blob)}
                for mount in self.mounts
            ],
        }
        return json.dumps(document, separators=(",", ":")).encode(), listed

    def take(self, records: Sequence[Any], chains: Sequence[ChainId]) -> None:
        """Records as the JSON has them. Raises what is wrong with them."""
        for key, place, created_ns in records[:RECORDS_LIMIT]:
            self.records[str(key)] = _at(chains, place)
            if _index(created_ns):
                self.created[str(key)] = created_ns


def decode(data: bytes, blobs: Sequence[Descriptor]) -> CacheDocument:
    """Read a config; ``blobs`` are the manifest's layers. ``InvalidParameter`` if broken."""
    try:
        document = json.loads(data)
        if document["version"] != VERSION:
            raise InvalidParameter(f"a build cache of version {document['version']}: want 1")
        found = CacheDocument()
        chains: list[ChainId] = []
        for entry in document["layers"]:
            parent = _at(chains, entry["parent"])
            diff_id = _digest(entry["diff_id"])
            chain_id = chain_ids([DiffId(parent), diff_id])[-1] if parent else ChainId(diff_id)
            chains.append(chain_id)
            found.layers[chain_id] = CachedLayer(diff_id, parent, blobs[_index(entry["blob"])])
        found.take(document["records"], chains)
        for entry in document.get("mounts", []):
            blob = blobs[_index(entry["blob"])]
            found.mounts.append(CachedMount(str(entry["id"]), str(entry["name"]), blob))
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise InvalidParameter(f"invalid build cache: {error!r}") from error
    return found


def inline(
    chains: Sequence[ChainId],
    keys: Iterable[tuple[str, ChainId | None]],
    times: Mapping[str, int],
) -> dict[str, Any]:
    """An image's inline cache: the keys whose results are the image's own layers."""
    places: dict[ChainId | None, int] = {chain_id: at for at, chain_id in enumerate(chains)}
    places[None] = -1
    return {
        "version": VERSION,
        "records": [
            [key, places[result], times.get(key, 0)] for key, result in keys if result in places
        ],
    }


def decode_inline(config: bytes, blobs: Sequence[Descriptor]) -> CacheDocument | None:
    """The inline cache in an image's config; ``None`` without one.

    ``blobs`` are the layers of the image's manifest. ``InvalidParameter`` if broken.
    """
    try:
        document = json.loads(config)
        given = document.get(INLINE_FIELD)
        if not given or given["version"] != VERSION:
            return None
        diff_ids = [_digest(each) for each in document["rootfs"]["diff_ids"]]
        if len(diff_ids) != len(blobs):
            raise InvalidParameter("invalid build cache: its image has other layers")
        chains = chain_ids(diff_ids)
        found = CacheDocument()
        for at, (chain_id, diff_id) in enumerate(zip(chains, diff_ids, strict=True)):
            parent = chains[at - 1] if at else None
            found.layers[chain_id] = CachedLayer(diff_id, parent, blobs[at])
        found.take(given["records"], chains)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InvalidParameter(f"invalid build cache: {error!r}") from error
    return found


def chosen(
    keys: Iterable[tuple[str, ChainId | None]], finals: Iterable[Sequence[ChainId]], mode: str
) -> Mapping[str, ChainId | None]:
    """Which results go along: all of them (``max``), or those that the images have (``min``)."""
    if mode == "max":
        return dict(keys)
    own: set[ChainId | None] = {chain_id for chains in finals for chain_id in chains}
    own.add(None)
    return {key: result for key, result in keys if result in own}


def _digest(text: Any) -> DiffId:
    if not isinstance(text, str) or not is_digest(text):
        raise InvalidParameter(f"invalid build cache: bad digest {str(text)[:100]!r}")
    return DiffId(text)


def _index(place: Any) -> int:
    if not isinstance(place, int) or place < 0:
        raise InvalidParameter(f"invalid build cache: bad number {place!r}")
    return place


def _at(chains: Sequence[ChainId], place: Any) -> ChainId | None:
    return None if place == -1 else chains[_index(place)]
