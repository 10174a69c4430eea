"""What a handler may reach: the engine's services, and nothing of the daemon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pierhead.build.buildkit.door import BuildKitDoor
    from pierhead.build.service import BuildService
    from pierhead.distribution.service import DistributionService
    from pierhead.engine.containers.files import ContainerFiles
    from pierhead.engine.containers.service import ContainerService
    from pierhead.engine.events import EventBus
    from pierhead.engine.images.reports import ImageReports
    from pierhead.engine.images.service import ImageService
    from pierhead.engine.networks.service import NetworkService
    from pierhead.engine.settings import Settings
    from pierhead.engine.system import SystemService
    from pierhead.engine.volumes.service import VolumeService


@dataclass(frozen=True, slots=True)
class Engine:
    """The services, wired by ``daemon/app.py``."""

    containers: ContainerService
    images: ImageService
    networks: NetworkService
    volumes: VolumeService
    events: EventBus
    system: SystemService
    files: ContainerFiles
    settings: Settings
    distribution: DistributionService
    reports: ImageReports
    build: BuildService
    buildkit: BuildKitDoor
