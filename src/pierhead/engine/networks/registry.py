"""The networks there are: in memory for reading, written through to the database."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

import msgspec

from pierhead.engine.networks.model import BRIDGE, NetworkRecord
from pierhead.errors import Conflict, InvalidParameter, NotFound
from pierhead.store.database import Database

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(NetworkRecord).decode


class NetworkRegistry:
    """Records by id and by name."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._by_id: dict[str, NetworkRecord] = {}
        self._by_name: dict[str, NetworkRecord] = {}
        for (blob,) in db.rows("SELECT record FROM networks ORDER BY created_ns"):
            self._index(_decode(blob))

    def _index(self, record: NetworkRecord) -> None:
        self._by_id[record.id] = record
        self._by_name[record.name] = record

    def __iter__(self) -> Iterator[NetworkRecord]:
        return iter(list(self._by_id.values()))

    def named(self, name: str) -> NetworkRecord | None:
        return self._by_name.get(name)

    def get(self, ref: str) -> NetworkRecord:
        """By full id, name, or unique prefix of an id, in this order, as Docker does.

        Raises ``NotFound``, ``InvalidParameter`` for an ambiguous prefix.
        """
        found = self._by_id.get(ref) or self._by_name.get(ref)
        if found is not None:
            return found
        matches = [record for key, record in self._by_id.items() if ref and key.startswith(ref)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InvalidParameter(f"network {ref} is ambiguous (matches {len(matches)} networks)")
        raise NotFound(f"network {ref} not found")

    def insert(self, record: NetworkRecord) -> None:
        """Keep a new network. Raises ``Conflict`` when the name is taken."""
        if record.name in self._by_name:
            raise Conflict(f"network with name {record.name} already exists")
        self._db.execute(
            "INSERT INTO networks (id, name, created_ns, record) VALUES (?, ?, ?, ?)",
            (record.id, record.name, record.created_ns, _encode(record)),
        )
        self._index(record)

    def replace(self, record: NetworkRecord) -> None:
        """Keep a changed record (only the predefined bridge ever changes)."""
        self._db.execute(
            "UPDATE networks SET record = ? WHERE id = ?", (_encode(record), record.id)
        )
        self._index(record)

    def delete(self, record: NetworkRecord) -> None:
        """Forget a network. Idempotent."""
        self._db.execute("DELETE FROM networks WHERE id = ?", (record.id,))
        self._by_id.pop(record.id, None)
        self._by_name.pop(record.name, None)

    def subnets(self) -> list[IPv4Network]:
        """Every subnet of a bridge network."""
        return [record.subnet for record in self._by_id.values() if record.driver == BRIDGE]
