"""Networks and the network side of containers: the room's public face."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pierhead.engine.config import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
)
from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.networks.model import (
    ContainerDirectory,
    ContainerLike,
    NetworkCreate,
    NetworkRecord,
    Sandbox,
    SandboxRequest,
)
from pierhead.engine.settings import Settings
from pierhead.store.database import Database
from pierhead.store.paths import Paths


class NetworkService:
    """All networks of one pierd. Use from the event loop's thread."""

    def __init__(self, *, db: Database, paths: Paths, settings: Settings, events: EventBus) -> None:
        self._db = db
        self.containers: ContainerDirectory | None = None  # set by the wiring

    async def recover(self, live: Iterable[ContainerLike]) -> None:
        """Bring kernel and memory in line with the records; call once at start.

        ``live`` are the containers that run now (their status says what they were given).
        Makes the predefined networks and the bridges, rebuilds the nftables table, takes
        the ports of ``live``, removes what nobody needs. Ports of the dead are let go.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of sockets and threads; rules and bridges stay for the containers that run."""
        raise NotImplementedError

    # -- networks ---------------------------------------------------------------------
    async def create(self, request: NetworkCreate) -> tuple[str, str]:
        """Make a network; returns its id and a warning or ``""``.

        Raises ``Conflict`` for a taken name, ``InvalidParameter``, ``Forbidden``.
        """
        raise NotImplementedError

    def get(self, ref: str) -> NetworkRecord:
        """By id, name or unique id prefix. Raises ``NotFound("network x not found")``."""
        raise NotImplementedError

    def inspect(self, ref: str, *, verbose: bool = False, scope: str = "") -> dict[str, Any]:
        """``GET /networks/{id}`` in the newest version's shape."""
        raise NotImplementedError

    def list(self, filters: Filters | None = None) -> list[dict[str, Any]]:
        """``GET /networks``: inspect's shape without ``Containers``."""
        raise NotImplementedError

    async def remove(self, ref: str) -> None:
        """Raises ``Forbidden`` for predefined ones and for active endpoints, ``NotFound``."""
        raise NotImplementedError

    async def prune(self, filters: Filters | None = None) -> list[str]:
        """Remove user-defined networks without containers; returns their names."""
        raise NotImplementedError

    # -- containers -------------------------------------------------------------------
    def plan(
        self,
        config: ContainerConfig,
        host_config: HostConfig,
        networking: NetworkingConfig | None,
    ) -> dict[str, EndpointSettings]:
        """At create: validate and say which networks the container will be in, by name.

        May normalise ``host_config.network_mode`` ("" and "default" become "bridge").
        An unknown network is no error before start, as in Docker: a 404 from create would
        make the stock client pull the image.
        """
        raise NotImplementedError

    async def attach(self, request: SandboxRequest) -> Sandbox:
        """At start: namespace, endpoints, ports, files. Undoes itself if it fails."""
        raise NotImplementedError

    async def detach(self, container_id: str) -> None:
        """At exit: give back addresses and ports. Idempotent; the veth dies with its namespace."""
        raise NotImplementedError

    async def forget(self, container_id: str) -> None:
        """At removal of a container; detaches if need be."""
        await self.detach(container_id)

    async def rename(self, container_id: str, new_name: str) -> None:
        """A container got another name: keep hosts files and DNS right."""
        raise NotImplementedError

    async def connect(
        self, network_ref: str, container_ref: str, settings: EndpointSettings | None
    ) -> None:
        """``POST /networks/{id}/connect``: a running or stopped container joins a network."""
        raise NotImplementedError

    async def disconnect(self, network_ref: str, container_ref: str, *, force: bool) -> None:
        """``POST /networks/{id}/disconnect``."""
        raise NotImplementedError
