"""Questions to registries that bring nothing here: inspect, login, search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pierhead.distribution import complaints
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import RegistrySettings
from pierhead.distribution.pull import CONFIG_LIMIT_BYTES, decode
from pierhead.distribution.registry import Registry
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter, PierError
from pierhead.oci.manifest import Index
from pierhead.oci.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN, Reference

_SEARCH_FILTERS: Final = frozenset({"is-automated", "is-official", "stars"})


async def inspect(registry: Registry, ref: Reference) -> dict[str, Any]:
    """``Descriptor`` and ``Platforms`` of what ``ref`` (tag ``latest`` if none) stands for."""
    ref = ref.with_default_tag()
    async with registry:
        try:
            fetched = await registry.manifest(ref.path, ref.digest or ref.tag or "")
        except complaints.RegistryError as error:
            raise complaints.pull_error(error, ref) from error
        decoded = decode(ref, fetched.data, fetched.media_type)
        if isinstance(decoded, Index):
            platforms = [
                msgspec.to_builtins(item.platform)
                for item in decoded.manifests
                if item.platform is not None
            ]
        else:
            platforms = []
            try:
                config = json.loads(
                    await registry.read_blob(
                        ref.path, decoded.config, limit_bytes=CONFIG_LIMIT_BYTES
                    )
                )
            except (PierError, ValueError, RecursionError):
                config = None  # a look at the manifest is what was asked for
            if isinstance(config, Mapping) and (config.get("os") or config.get("architecture")):
                names = ("architecture", "os", "os.version", "variant")
                platforms = [
                    {name: config[name] for name in names if isinstance(config.get(name), str)}
                ]
    return {
        "Descriptor": {
            "mediaType": fetched.media_type,
            "digest": fetched.digest,
            "size": len(fetched.data),
        },
        "Platforms": platforms or None,
    }


def domain_of(server_address: str) -> str:
    """The registry that ``docker login`` means: an address with or without scheme and path."""
    host = server_address.partition("://")[2] or server_address
    host = host.partition("/")[0]
    if host in ("", LEGACY_DOMAIN, "registry-1.docker.io"):
        return DEFAULT_DOMAIN
    return host


async def login(registry: Registry) -> dict[str, str]:
    """Try the registry's credentials."""
    async with registry:
        token = await registry.login()
    return {"IdentityToken": token, "Status": "Login Succeeded"}


async def search(
    term: str,
    settings: RegistrySettings,
    *,
    limit: int,
    filters: Filters,
    credentials: Credentials | None,
    user_agent: str,
) -> list[dict[str, Any]]:
    """Results as the API gives them; ``is-automated`` is always false, as in dockerd."""
    filters.validate(_SEARCH_FILTERS)
    official = filters.boolean("is-official") if "is-official" in filters else None
    automated = filters.boolean("is-automated") if "is-automated" in filters else False
    stars = 0
    for text in filters.get("stars"):
        if not text.removeprefix("-").isdigit():
            raise InvalidParameter(f"invalid filter 'stars={text}'")
        stars = max(stars, int(text))
    if automated:
        return []
    if "://" in term:
        raise InvalidParameter(
            f"invalid repository name: repository name ({term}) should not have a scheme"
        )
    from pierhead.distribution.search import search as ask

    found = await ask(term, settings, limit=limit, credentials=credentials, user_agent=user_agent)
    return [
        {**result, "is_automated": False}
        for result in found
        if (official is None or bool(result.get("is_official")) == official)
        and int(result.get("star_count") or 0) >= stars
    ]
