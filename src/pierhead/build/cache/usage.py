"""What the build cache takes, as ``docker builder du`` and ``/system/df`` list it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pierhead.build.cache.store import CacheStore, Record
from pierhead.engine.filters import Filters
from pierhead.engine.images.clock import format_rfc3339
from pierhead.engine.images.index import ImageIndex
from pierhead.oci.digest import ChainId

if TYPE_CHECKING:
    from pierhead.build.execute.mounts import CacheMounts
    from pierhead.build.files.service import FileService


@dataclass(slots=True, kw_only=True)
class Item:
    """One thing that is kept between builds."""

    id: str
    kind: str
    """``regular``, ``source.local``, ``exec.cachemount``, ``internal``, ``frontend``."""
    description: str
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int
    in_use: bool
    shared: bool
    """Its layer is part of an image: dropping the record frees nothing."""
    parents: tuple[str, ...] = ()
    record: Record | None = None
    mount: str = ""
    source: str = ""

    def document(self) -> dict[str, Any]:
        """``BuildCache`` of the API."""
        return {
            "ID": self.id,
            "Parents": list(self.parents) or None,
            "Type": self.kind,
            "Description": self.description,
            "InUse": self.in_use,
            "Shared": self.shared,
            "Size": self.size_bytes,
            "CreatedAt": format_rfc3339(self.created_ns),
            "LastUsedAt": format_rfc3339(self.used_ns) if self.used_ns else None,
            "UsageCount": self.uses,
        }


def items(
    cache: CacheStore,
    index: ImageIndex,
    mounts: CacheMounts,
    files: FileService,
) -> list[Item]:
    """Everything, oldest use first."""
    in_images = {chain for image in index.images.values() for chain in image.chains}
    held = index.content.held_chains
    records = [record for record in cache.records.values() if record.kind == "regular"]
    by_chain: dict[ChainId, str] = {
        record.chain_id: record.id for record in records if record.chain_id is not None
    }
    own: dict[ChainId, int] = {}
    for record in cache.records.values():
        if record.chain_id is not None:
            own[record.chain_id] = own.get(record.chain_id, 0) + 1
    found = []
    for record in records:
        chain = record.chain_id
        busy = chain is not None and held.get(chain, 0) > own.get(chain, 0)
        parent = by_chain.get(record.parent) if record.parent is not None else None
        found.append(
            Item(
                id=record.id,
                kind="regular",
                description=record.description,
                size_bytes=record.size_bytes,
                created_ns=record.created_ns,
                used_ns=record.used_ns,
                uses=record.uses,
                in_use=busy,
                shared=chain in in_images,
                parents=(parent,) if parent is not None else (),
                record=record,
            )
        )
    for mount in mounts.list():
        found.append(
            Item(
                id=mount.id,
                kind="exec.cachemount",
                description=f"cached mount {mount.name}",
                size_bytes=mount.size_bytes,
                created_ns=mount.created_ns,
                used_ns=mount.used_ns,
                uses=mount.uses,
                in_use=mount.in_use,
                shared=False,
                mount=mount.id,
            )
        )
    for source in files.usage():
        found.append(
            Item(
                id=source.id,
                kind="source.local",
                description=source.description,
                size_bytes=source.size_bytes,
                created_ns=source.created_ns,
                used_ns=source.used_ns,
                uses=source.uses,
                in_use=source.in_use,
                shared=False,
                source=source.id,
            )
        )
    return sorted(found, key=lambda item: item.used_ns)


def listed(found: list[Item], filters: Filters | None) -> list[dict[str, Any]]:
    """The API's list."""
    from pierhead.build.cache.prune import matches

    return [item.document() for item in found if matches(item, filters, now_ns=0)]
