"""Where a registry is: its mirrors first, then itself, and how far each is trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pierhead.errors import NotImplementedYet


class RegistrySettings(Protocol):
    """What the operator decided (``engine.settings.Settings`` fits)."""

    @property
    def insecure_registries(self) -> Sequence[str]: ...
    @property
    def registry_mirrors(self) -> Sequence[str]:
        """Mirrors of Docker Hub, URLs."""
        ...

    @property
    def registry_mirrors_for(self) -> Mapping[str, Sequence[str]]:
        """Registry (``host[:port]``) to the URLs of its mirrors; ``docker.io`` is Hub."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address to try. ``url`` is ``scheme://host[:port]``, perhaps with a path, no ``/v2``."""

    url: str
    host: str
    """``host[:port]`` as in the URL; also the name of its directory in ``certs.d``."""
    mirror: bool = False
    verify: bool = True
    """Whether its certificate must be good; false for insecure registries."""
    official: bool = False


def endpoints(domain: str, settings: RegistrySettings, *, push: bool = False) -> list[Endpoint]:
    """The addresses for ``domain``, in the order to try them; mirrors for pulls only."""
    raise NotImplementedYet("registries can't be reached yet")
