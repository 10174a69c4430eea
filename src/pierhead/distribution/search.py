"""``docker search``: the v1 search of Docker Hub and of registries that still have it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.connection import Connection
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import Endpoint, Lookup, RegistrySettings, endpoints
from pierhead.distribution.failures import TransportError
from pierhead.distribution.http import Client, Limits
from pierhead.errors import InvalidParameter
from pierhead.oci.manifest import decode_object
from pierhead.oci.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN, OFFICIAL_PREFIX

DEFAULT_LIMIT: Final = 25
_ANSWER_LIMIT_BYTES: Final = 4 << 20
_HUB: Final = Endpoint(f"https://{LEGACY_DOMAIN}", LEGACY_DOMAIN, official=True)
# What Connection needs for Hub's search behind a token; others ask for Basic.
_SCOPES: Final = ("registry:catalog:search",)


async def search(
    term: str,
    settings: RegistrySettings,
    *,
    limit: int = DEFAULT_LIMIT,
    credentials: Credentials | None = None,
    user_agent: str = "",
    certs_dirs: Sequence[Path] | None = None,
    limits: Limits | None = None,
    lookup: Lookup | None = None,
) -> list[dict[str, Any]]:
    """Results as the v1 API gives them: name, description, star_count, is_official...

    ``term`` may begin with a registry's host; a ``limit`` of 0 means the default. Filters
    are the caller's. Raises ``InvalidParameter`` in dockerd's words for what can't be asked.
    """
    if "://" in term:
        raise InvalidParameter(
            f"invalid repository name: repository name ({term}) should not have a scheme"
        )
    limit = limit or DEFAULT_LIMIT
    if not 1 <= limit <= 100:
        raise InvalidParameter(f"limit {limit} is outside the range of [1, 100]")
    domain, name = split_term(term)
    if domain == DEFAULT_DOMAIN:
        found = [_HUB]
        name = name.removeprefix(OFFICIAL_PREFIX)
    else:
        found = await endpoints(domain, settings, push=True, lookup=lookup)
    client = Client(user_agent=user_agent, certs_dirs=certs_dirs, limits=limits)
    async with client:
        connections = [Connection(client, endpoint, credentials) for endpoint in found]
        return await _ask(connections, domain, urlencode({"q": name, "n": str(limit)}))


def split_term(term: str) -> tuple[str, str]:
    """(registry, what to look for): a first part with a dot or colon is a host."""
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return (DEFAULT_DOMAIN if first == LEGACY_DOMAIN else first), rest
    return DEFAULT_DOMAIN, term


async def _ask(connections: list[Connection], domain: str, query: str) -> list[dict[str, Any]]:
    errors: list[TransportError] = []
    for connection in connections:
        try:
            _, raw = await connection.read(
                f"/v1/search?{query}",
                _ANSWER_LIMIT_BYTES,
                "the search's result",
                scopes=_SCOPES,
                headers={"X-Docker-Token": "true"},
            )
        except RegistryError as error:
            if error.of_proof:
                raise
            raise RegistryError(
                f"unexpected status code {error.status}", kind="internal", status=error.status
            ) from error
        except TransportError as error:
            if error.reached or connection.endpoint.official:
                raise
            errors.append(error)
            if connection is not connections[-1]:
                continue
            raise InvalidParameter(_unreachable(connections, domain, errors)) from error
        results = decode_object(raw, "search result").get("results") or []
        if not isinstance(results, list):
            raise InvalidParameter("invalid search result: results is no list")
        return [entry for entry in results if isinstance(entry, dict)]
    raise AssertionError("no endpoints")


def _unreachable(connections: list[Connection], domain: str, errors: list[TransportError]) -> str:
    """dockerd's words, with the way out."""
    if len(errors) > 1:
        return (
            f'invalid registry endpoint "{connections[-1].endpoint.url}/v1/". '
            f"HTTPS attempt: {errors[0]}. HTTP attempt: {errors[-1]}"
        )
    return (
        f"invalid registry endpoint https://{domain}/v1/: {errors[-1]}. If this private registry "
        "supports only HTTP or HTTPS with an unknown CA certificate, add "
        f"`--insecure-registry {domain}` to the daemon's arguments. In the case of HTTPS, if you "
        "have access to the registry's CA certificate, no need for the flag; place the CA "
        f"certificate at /etc/docker/certs.d/{domain}/ca.crt"
    )
