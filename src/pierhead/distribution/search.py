"""``docker search``: the v1 search of Docker Hub and of registries that still have it."""

from __future__ import annotations

from typing import Any

from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import RegistrySettings
from pierhead.errors import NotImplementedYet


async def search(
    term: str,
    settings: RegistrySettings,
    *,
    limit: int = 25,
    credentials: Credentials | None = None,
    user_agent: str = "",
) -> list[dict[str, Any]]:
    """Results as the v1 API gives them: name, description, star_count, is_official...

    ``term`` may begin with a registry's host. Filters are the caller's.
    """
    raise NotImplementedYet("searching isn't built yet")
