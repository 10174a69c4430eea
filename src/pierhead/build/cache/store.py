"""The build cache: key of a step → the chain that came of it. Records in memory and database.

A key is a digest of all that a step depends on (``plan.keys``), a result is a chain id: both
are content, so records of different builds, stages and machines meet. Each record holds its
chain with a lease of its own; pruning it lets the collector take layers that nobody else
needs. Times are nanoseconds since 1970.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.engine.images.content import Lease
from pierhead.engine.images.index import ImageIndex
from pierhead.oci.digest import ChainId, hex_of
from pierhead.store.database import Database
from pierhead.store.snapshots import Snapshotter

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Record:
    """One step that was done once."""

    key: str
    chain_id: ChainId | None
    size_bytes: int
    """Of its own layer; 0 if it made none."""
    created_ns: int
    used_ns: int
    uses: int
    description: str = ""
    """``RUN make``: expanded, without place."""
    kind: str = "regular"
    """As the API has it: ``regular``, ``source.local``, ``exec.cachemount``..."""
    parent: ChainId | None = None
    changed: bool = True
    """False: it changed nothing (its layer is empty)."""
    text: str = ""
    """The instruction as written, for finding what a later miss differs from."""
    place: str = ""
    """Project, stage and position: the same."""
    parts: Mapping[str, Any] = field(default_factory=dict)
    """What the key was made of, values shortened to digests."""
    shown: str = ""
    """A COPY's files in the classic history."""
    lease: Lease | None = None

    @property
    def id(self) -> str:
        """For people and filters, as BuildKit's: 25 letters."""
        return hex_of(self.key)[:25]

    def document(self) -> bytes:
        return json.dumps(
            {
                "description": self.description,
                "kind": self.kind,
                "parent": self.parent,
                "changed": self.changed,
                "text": self.text,
                "place": self.place,
                "parts": self.parts,
                "shown": self.shown,
            },
            separators=(",", ":"),
        ).encode()


class CacheStore:
    """All records. Synchronous: looking up takes microseconds."""

    def __init__(self, db: Database, index: ImageIndex, snapshots: Snapshotter) -> None:
        self._db = db
        self._index = index
        self._snapshots = snapshots
        self.records: dict[str, Record] = {}
        self._by_text: dict[str, str] = {}
        self._by_place: dict[str, str] = {}
        self._used: set[str] = set()

    def load(self) -> None:
        """At start: read the records, lease their chains, forget those whose layers are gone."""
        gone = []
        for key, chain_id, size, created, used, uses, document in self._db.rows(
            "SELECT key, chain_id, size_bytes, created_ns, used_ns, uses, record "
            "FROM build_cache ORDER BY used_ns"
        ):
            if chain_id is not None and self._snapshots.layer(ChainId(chain_id)) is None:
                gone.append((key,))
                continue
            try:
                record = Record(key, chain_id, size, created, used, uses, **json.loads(document))
            except (ValueError, TypeError):  # another version's: the step is done again
                gone.append((key,))
                continue
            self._remember(record)
        if gone:
            log.info("build cache records of no use dropped", extra={"records": len(gone)})
            self._db.executemany("DELETE FROM build_cache WHERE key = ?", gone)

    def _remember(self, record: Record) -> None:
        if record.chain_id is not None:
            record.lease = self._index.lease()
            record.lease.add_chains([record.chain_id])
        self.records[record.key] = record
        if record.text:
            self._by_text[record.text] = record.key
        if record.place:
            self._by_place[record.place] = record.key

    def get(self, key: str) -> Record | None:
        """The record of ``key`` if its layers are (still) here; counts as a use."""
        record = self.records.get(key)
        if record is None:
            return None
        if record.chain_id is not None and self._snapshots.layer(record.chain_id) is None:
            self.drop([record])  # somebody removed layers behind our back
            return None
        record.used_ns = time.time_ns()
        record.uses += 1
        self._used.add(key)
        return record

    def put(self, record: Record) -> None:
        """Keep a result. The caller holds its chain meanwhile."""
        old = self.records.get(record.key)
        self._db.execute(
            "INSERT OR REPLACE INTO build_cache "
            "(key, chain_id, size_bytes, created_ns, used_ns, uses, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                record.key,
                record.chain_id,
                record.size_bytes,
                record.created_ns,
                record.used_ns,
                record.uses,
                record.document(),
            ),
        )
        self._remember(record)
        if old is not None and old.lease is not None:
            old.lease.release()

    def similar(self, text: str, place: str) -> Record | None:
        """A record of the same instruction, else of the same place: for telling differences."""
        key = self._by_text.get(text) or self._by_place.get(place)
        return self.records.get(key) if key is not None else None

    def hidden(self) -> list[Record]:
        """Records that nobody sees listed: other keys of a result, times of config steps."""
        return [record for record in self.records.values() if record.kind != "regular"]

    def flush(self) -> None:
        """Write when records were used."""
        if not self._used:
            return
        rows = [
            (record.used_ns, record.uses, key)
            for key in self._used
            if (record := self.records.get(key)) is not None
        ]
        self._used.clear()
        self._db.executemany("UPDATE build_cache SET used_ns = ?, uses = ? WHERE key = ?", rows)

    def drop(self, records: Iterable[Record]) -> None:
        """Forget records and let go of their chains."""
        gone = list(records)
        self._db.executemany(
            "DELETE FROM build_cache WHERE key = ?", [(record.key,) for record in gone]
        )
        for record in gone:
            self.records.pop(record.key, None)
            self._used.discard(record.key)
            if self._by_text.get(record.text) == record.key:
                del self._by_text[record.text]
            if self._by_place.get(record.place) == record.key:
                del self._by_place[record.place]
            if record.lease is not None:
                record.lease.release()
                record.lease = None
