"""The volumes there are and who uses them: in memory, records written through."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pierhead.engine.volumes.model import VolumeRecord
from pierhead.errors import NotFound
from pierhead.store.database import Database

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(VolumeRecord).decode


class VolumeRegistry:
    """Records by name, and for each the containers that name it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._records: dict[str, VolumeRecord] = {}
        self._users: dict[str, set[str]] = {}
        for (blob,) in db.rows("SELECT record FROM volumes ORDER BY created_ns"):
            record = _decode(blob)
            self._records[record.name] = record

    def __iter__(self) -> Iterator[VolumeRecord]:
        return iter(list(self._records.values()))

    def find(self, name: str) -> VolumeRecord | None:
        return self._records.get(name)

    def get(self, name: str) -> VolumeRecord:
        """Raises ``NotFound("get x: no such volume")``."""
        record = self._records.get(name)
        if record is None:
            raise NotFound(f"get {name}: no such volume")
        return record

    def put(self, record: VolumeRecord) -> None:
        """Keep a new or changed record."""
        self._db.execute(
            "INSERT OR REPLACE INTO volumes (name, driver, created_ns, record) VALUES (?, ?, ?, ?)",
            (record.name, record.driver, record.created_ns, _encode(record)),
        )
        self._records[record.name] = record

    def delete(self, name: str) -> None:
        """Forget a volume. Idempotent."""
        self._db.execute("DELETE FROM volumes WHERE name = ?", (name,))
        self._records.pop(name, None)
        self._users.pop(name, None)

    def users(self, name: str) -> set[str]:
        """Ids of the containers, running or not, that have the volume."""
        return self._users.get(name, set())

    def use(self, name: str, container_id: str) -> None:
        self._users.setdefault(name, set()).add(container_id)

    def unuse(self, name: str, container_id: str) -> None:
        users = self._users.get(name)
        if users is not None:
            users.discard(container_id)
            if not users:
                del self._users[name]
