"""The filters of the container list, with Docker's meaning of each."""

from __future__ import annotations

from typing import Final

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.inspect import endpoints
from pierhead.engine.containers.model import Phase
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter, NotFound, PierError

ALLOWED: Final = frozenset(
    "ancestor before exited expose health id is-task isolation label label! name network publish "
    "since status volume".split()
)
_STATUSES: Final = frozenset(str(phase) for phase in Phase)
_HEALTHS: Final = frozenset({"none", "starting", "healthy", "unhealthy"})


class ListFilter:
    """One request's filters, checked and prepared. Raises ``InvalidParameter``, ``NotFound``."""

    def __init__(self, ctx: Context, filters: Filters) -> None:
        filters.validate(ALLOWED)
        self._ctx = ctx
        self._filters = filters
        self._empty = not filters
        for status in filters.get("status"):
            if status not in _STATUSES:
                raise InvalidParameter(f"invalid filter 'status={status}'")
        for health in filters.get("health"):
            if health not in _HEALTHS:
                raise InvalidParameter(f"invalid filter 'health={health}'")
        self._exited = {_number("exited", text) for text in filters.get("exited")}
        self._is_task = filters.boolean("is-task") if "is-task" in filters else None
        self._before = self._newest(ctx, "before")
        self._since = self._newest(ctx, "since")
        self._ancestors = _ancestors(ctx, filters.get("ancestor"))
        self._networks = _networks(ctx, filters.get("network"))
        self._publish = [_port_range("publish", text) for text in filters.get("publish")]
        self._expose = [_port_range("expose", text) for text in filters.get("expose")]

    @property
    def implies_all(self) -> bool:
        """Filters that make sense for stopped containers show them without ``all``."""
        return "status" in self._filters

    def _newest(self, ctx: Context, key: str) -> int | None:
        found = [ctx.registry.get(ref).record.created_ns for ref in self._filters.get(key)]
        return max(found) if found else None

    def stops_at(self, container: Container) -> bool:
        """From here on everything is too old."""
        return self._since is not None and container.record.created_ns <= self._since

    def includes(self, container: Container) -> bool:
        if self._empty:
            return True
        filters = self._filters
        record, status = container.record, container.status
        if self._before is not None and record.created_ns >= self._before:
            return False
        if not filters.match_prefix("id", record.id):
            return False
        if not (filters.match("name", record.name) or filters.match("name", f"/{record.name}")):
            return False
        if not filters.match_exact("status", str(status.phase)):
            return False
        health = status.health.status if status.health else "none"
        if not filters.match_exact("health", health):
            return False
        if not filters.match_labels(record.config.labels):
            return False
        if self._is_task:
            return False  # no swarm tasks here
        if self._exited and not (
            status.exit_code in self._exited and status.has_been_started and not container.active
        ):
            return False
        if "isolation" in filters and not filters.match_exact(
            "isolation", record.host_config.isolation or "default"
        ):
            return False
        if self._ancestors is not None and not (
            record.image_id in self._ancestors or record.image_ref in self._ancestors
        ):
            return False
        return self._places(container)

    def _places(self, container: Container) -> bool:
        """Volumes, networks, ports."""
        record = container.record
        volumes = self._filters.get("volume")
        if volumes and not any(
            mount.point.destination.rstrip("/") == wanted.rstrip("/")
            or wanted in (mount.point.name, mount.point.source)
            for wanted in volumes
            for mount in record.mounts
        ):
            return False
        if self._networks is not None and not any(
            name in self._networks
            or (endpoint.network_id and endpoint.network_id in self._networks)
            for name, endpoint in endpoints(self._ctx, container).items()
        ):
            return False
        if self._publish and not _any_port(self._publish, record.host_config.port_bindings or ()):
            return False
        return not self._expose or _any_port(self._expose, record.config.exposed_ports or ())


def _number(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidParameter(f"invalid filter '{key}={text}'") from None


def _ancestors(ctx: Context, refs: list[str]) -> set[str] | None:
    """Ids of the images and of those made from them. An unknown name fits nothing."""
    if not refs:
        return None
    found: set[str] = set()
    for ref in refs:
        try:
            found.add(ctx.images.resolve(ref).id)
        except PierError:
            continue
    if not found:
        return found
    for container in ctx.registry.all():
        image_id = container.record.image_id
        lineage = []
        while image_id and image_id not in found:
            lineage.append(image_id)
            try:
                image_id = ctx.images.resolve(image_id).parent or ""
            except NotFound:
                image_id = ""
        if image_id:
            found.update(lineage)
    return found


def _networks(ctx: Context, refs: list[str]) -> set[str] | None:
    """Names and ids that count."""
    if not refs:
        return None
    found = set(refs)
    for ref in refs:
        try:
            network = ctx.networks.get(ref)
        except PierError:
            continue
        found |= {network.id, network.name}
    return found


def _port_range(key: str, text: str) -> tuple[int, int, str]:
    """``80``, ``8000-8010/udp`` → (first, last, protocol)."""
    numbers, _, protocol = text.partition("/")
    first, dash, last = numbers.partition("-")
    try:
        low, high = int(first), int(last) if dash else int(first)
    except ValueError:
        raise InvalidParameter(f"invalid filter '{key}={text}'") from None
    if not 0 < low <= high < 65536 or protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise InvalidParameter(f"invalid filter '{key}={text}'")
    return low, high, protocol.lower() or "tcp"


def _any_port(wanted: list[tuple[int, int, str]], ports: object) -> bool:
    for port in ports:  # type: ignore[attr-defined]
        number, _, protocol = str(port).partition("/")
        first, dash, last = number.partition("-")
        if not first.isdigit():
            continue
        low, high = int(first), int(last) if dash and last.isdigit() else int(first)
        for want_low, want_high, want_protocol in wanted:
            if (protocol or "tcp") == want_protocol and low <= want_high and high >= want_low:
                return True
    return False
