"""All containers, in memory, with every change written through to the database.

The database is the truth after a crash, the memory is the truth while pierd runs; both
change in the same call, so nothing is acknowledged that is not written.
"""

from __future__ import annotations

import logging
from bisect import bisect_left, insort
from typing import Final

import msgspec

from pierhead.engine.config import HostConfig
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.link_names import are_legacy, split
from pierhead.engine.containers.model import ContainerRecord, ContainerStatus
from pierhead.errors import Conflict, InvalidParameter, NotFound
from pierhead.oci.runtime_spec import MASKED_PATHS, READONLY_PATHS
from pierhead.store.database import Database

log = logging.getLogger(__name__)

# Shared by all records, never changed.
MASKED: Final = list(MASKED_PATHS)
READONLY: Final = list(READONLY_PATHS)

_encode = msgspec.json.Encoder().encode
_decode_record = msgspec.json.Decoder(ContainerRecord).decode
_decode_status = msgspec.json.Decoder(ContainerStatus).decode


def _share_defaults(record: ContainerRecord) -> None:
    """Decoding gives every record lists of its own; the usual ones need to be there once."""
    host = record.host_config
    if host.masked_paths == MASKED:
        host.masked_paths = MASKED
    if host.readonly_paths == READONLY:
        host.readonly_paths = READONLY


class Registry:
    """Look up by id, unique prefix or name; reserve names; persist."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._by_id: dict[str, Container] = {}
        self._ids: list[str] = []  # sorted, for prefixes
        self._names: dict[str, str] = {}  # name → id, reservations included
        self._links: dict[str, str] = {}  # "this/alias" → id of the other, of legacy links

    def load(self) -> None:
        """Read what the database holds. A row that can't be read is left alone and logged."""
        for container_id, record, status in self._db.rows(
            "SELECT id, record, status FROM containers ORDER BY created_ns"
        ):
            try:
                container = Container(_decode_record(record), _decode_status(status))
            except msgspec.DecodeError:
                log.exception("unreadable container record", extra={"container": container_id})
                continue
            _share_defaults(container.record)
            self._adopt(container)
        for container in self._by_id.values():
            self._resolve_links(container.record.host_config)
            self.register_links(container)

    def _resolve_links(self, host: HostConfig) -> None:
        """Names in records of older versions, and ids of containers that are gone."""
        if are_legacy(host):
            pairs = [split(link) for link in host.links or ()]
            ids = [(self._names.get(target, target), alias) for target, alias in pairs]
            host.links = [f"{target}:{alias}" for target, alias in ids if target in self._by_id]

    def _adopt(self, container: Container) -> None:
        self._by_id[container.id] = container
        insort(self._ids, container.id)
        self._names[container.name] = container.id

    # -- look up -------------------------------------------------------------------------

    def get(self, ref: str) -> Container:
        """Find by full id, then by name, then by unique prefix of the id, as Docker does.

        Raises ``NotFound``, and ``InvalidParameter`` for a prefix of several ids.
        """
        found = self._by_id.get(ref)
        if found is not None:
            return found
        bare = ref[1:] if ref.startswith("/") else ref
        named = self._names.get(bare) or self._links.get(bare)
        if named is not None and named in self._by_id:
            return self._by_id[named]
        if ref:
            at = bisect_left(self._ids, ref)
            matches = [i for i in self._ids[at : at + 2] if i.startswith(ref)]
            if len(matches) == 1:
                return self._by_id[matches[0]]
            if matches:
                raise InvalidParameter(f"multiple IDs found with provided prefix: {ref}")
        raise NotFound(f"No such container: {ref}")

    def find(self, container_id: str) -> Container | None:
        """Find by full id."""
        return self._by_id.get(container_id)

    def all(self) -> list[Container]:
        """Newest first."""
        return list(reversed(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    # -- names ---------------------------------------------------------------------------

    def reserve(self, name: str, container_id: str) -> None:
        """Claim ``name``. Raises ``Conflict`` with Docker's text if somebody has it."""
        owner = self._names.setdefault(name, container_id)
        if owner != container_id:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )

    def taken(self, name: str) -> bool:
        return name in self._names

    def release(self, name: str, container_id: str) -> None:
        """Give ``name`` up if it is this container's."""
        if self._names.get(name) == container_id:
            del self._names[name]

    # -- legacy links ----------------------------------------------------------------------

    def register_links(self, container: Container) -> None:
        """Make the others known as ``container/alias``."""
        host = container.record.host_config
        if are_legacy(host):
            for target, alias in map(split, host.links or ()):
                self._links[f"{container.name}/{alias}"] = target
                self._look_again(target)

    def unregister_links(self, container: Container) -> None:
        """Before the container's name or links change, and when it is removed."""
        for path in [p for p in self._links if p.rpartition("/")[0] == container.name]:
            self._look_again(self._links.pop(path))

    def link_names(self, container: Container) -> list[str]:
        """``this/alias`` of all that link to the container, sorted."""
        if not self._links:
            return []
        return sorted(path for path, target in self._links.items() if target == container.id)

    def _look_again(self, container_id: str) -> None:
        if (other := self._by_id.get(container_id)) is not None:
            other.summary = None

    # -- changes -------------------------------------------------------------------------

    def insert(self, container: Container) -> None:
        """Keep a new container. Its name must be reserved."""
        self._db.execute(
            "INSERT INTO containers (id, name, created_ns, record, status) VALUES (?, ?, ?, ?, ?)",
            (
                container.id,
                container.name,
                container.record.created_ns,
                _encode(container.record),
                _encode(container.status),
            ),
        )
        self._adopt(container)
        self.register_links(container)

    def save(self, container: Container) -> None:
        """Write record and status."""
        container.summary = None
        self._db.execute(
            "UPDATE containers SET name = ?, record = ?, status = ? WHERE id = ?",
            (
                container.name,
                _encode(container.record),
                _encode(container.status),
                container.id,
            ),
        )

    def save_status(self, container: Container) -> None:
        """Write the status: before the transition is told to anybody."""
        container.summary = None
        self._db.execute(
            "UPDATE containers SET status = ? WHERE id = ?",
            (_encode(container.status), container.id),
        )

    def delete(self, container: Container) -> None:
        """Forget the container and its name."""
        self._db.execute("DELETE FROM containers WHERE id = ?", (container.id,))
        if self._by_id.pop(container.id, None) is not None:
            at = bisect_left(self._ids, container.id)
            if at < len(self._ids) and self._ids[at] == container.id:
                del self._ids[at]
        self.unregister_links(container)
        self.release(container.name, container.id)
