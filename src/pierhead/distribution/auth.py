"""Proving to one registry who is asking: Basic, Bearer tokens, OAuth2 refresh tokens.

A registry says with a challenge (401) which proof it wants; for Bearer it names a token
server (the realm). Tokens are kept per scope until they expire, one operation long.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from pierhead.distribution import challenge
from pierhead.distribution.backoff import retry_after_s
from pierhead.distribution.complaints import BODY_LIMIT_BYTES, RegistryError, complaint
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import Endpoint
from pierhead.distribution.failures import TransportError
from pierhead.distribution.http import Answer, Client
from pierhead.errors import TooLarge

log = logging.getLogger(__name__)

CLIENT_ID: Final = "docker"
DEFAULT_LIFE_S: Final = 60.0
MARGIN_S: Final = 5.0
LONGEST_LIFE_S: Final = 3600.0
_TOKEN_LIMIT_BYTES: Final = 1 << 20


async def complaint_of(answer: Answer) -> RegistryError:
    """The error that an answer (401 and its like) stands for."""
    return complaint(
        answer.status,
        answer.reason,
        answer.headers.get("Content-Type", ""),
        await answer.read_some(BODY_LIMIT_BYTES),
        challenge.parse(answer.all("WWW-Authenticate")) if answer.status == 401 else (),
        retry_after_s(answer.headers.get("Retry-After"), time.time()),
    )


class Authorizer:
    """Makes ``Authorization`` headers for one endpoint."""

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        credentials: Credentials | None,
        *,
        offline: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``offline`` asks the token server for a refresh token (a login)."""
        self._client = client
        self._endpoint = endpoint
        self._credentials = credentials or Credentials()
        self._offline = offline
        self._clock = clock
        self._wanted: challenge.Challenge | None = None
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        self._locks: dict[tuple[str, ...], asyncio.Lock] = {}
        self.refresh_token = ""
        """What the token server gave for the next login."""

    @property
    def challenged(self) -> bool:
        """Whether the registry has asked for a proof."""
        return self._wanted is not None

    def take(self, headers: Sequence[str]) -> bool:
        """Read the ``WWW-Authenticate`` headers of a 401; false if we know none of the kinds."""
        found = {entry.scheme: entry for entry in reversed(challenge.parse(headers))}
        self._wanted = found.get("bearer") or found.get("basic")
        return self._wanted is not None

    def reject(self, header: str | None) -> None:
        """Forget the token in ``header``: the registry takes it no more."""
        for scopes, (token, _) in list(self._tokens.items()):
            if header == f"Bearer {token}":
                del self._tokens[scopes]

    async def header(self, scopes: Sequence[str]) -> str | None:
        """The header's value for a request that needs ``scopes``; ``None`` if none is asked for.

        Raises ``RegistryError`` where there are no fitting credentials or the token server
        refuses, ``TransportError`` where it can't be reached.
        """
        if self._wanted is None:
            return None
        if self._wanted.scheme == "basic":
            return self._basic()
        if self._credentials.registry_token:
            return f"Bearer {self._credentials.registry_token}"
        key = tuple(dict.fromkeys(scopes))
        async with self._locks.setdefault(key, asyncio.Lock()):
            token, expires = self._tokens.get(key, ("", 0.0))
            if not token or self._clock() >= expires:
                token, life_s = await self._fetch(self._wanted, key)
                self._tokens[key] = (token, self._clock() + life_s)
        return f"Bearer {token}"

    def _basic(self) -> str:
        value = self._basic_or_none()
        if value is None:
            raise RegistryError("no basic auth credentials", kind="internal", status=401)
        return value

    def _basic_or_none(self) -> str | None:
        known = self._credentials
        if not known.username or not known.password:
            return None
        packed = base64.b64encode(f"{known.username}:{known.password}".encode()).decode()
        return f"Basic {packed}"

    async def _fetch(
        self, wanted: challenge.Challenge, scopes: tuple[str, ...]
    ) -> tuple[str, float]:
        """A token and how many seconds it may be used."""
        realm = wanted.parameters.get("realm", "")
        self._check_realm(realm)
        service = wanted.parameters.get("service", "")
        refresh = self.refresh_token or self._credentials.identity_token
        if refresh:
            document = await self._post(realm, service, scopes, refresh)
        else:
            document = await self._get(realm, service, scopes)
        token = document.get("access_token") or document.get("token")
        if not isinstance(token, str) or not token or not token.isprintable():
            raise RegistryError(
                "authorization server did not include a token in the response",
                kind="internal",
                status=200,
            )
        if isinstance(given := document.get("refresh_token"), str) and given:
            self.refresh_token = given
        life = document.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else DEFAULT_LIFE_S
        # Not to the last second; of a very short life most is better than nothing.
        return token, min(max(seconds - MARGIN_S, seconds / 2), LONGEST_LIFE_S)

    def _check_realm(self, realm: str) -> None:
        try:
            parts = urlsplit(realm)
            good = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            good = False
        if not realm or not good:
            text = (
                f"invalid token auth challenge realm: {realm[:200]!r}"
                if realm
                else "no realm specified for token auth challenge"
            )
            raise RegistryError(text, kind="internal", status=401)
        secret = self._credentials.username or self._credentials.identity_token
        if secret and self._endpoint.secure and parts.scheme == "http":
            raise RegistryError(
                f"refusing to send the credentials of {self._endpoint.host} without encryption "
                f"to the token server {parts.hostname}",
                kind="internal",
                status=401,
            )

    async def _get(self, realm: str, service: str, scopes: Sequence[str]) -> dict[str, Any]:
        fields = [("service", service)] if service else []
        fields += [("scope", scope) for scope in scopes]
        if self._offline:
            fields += [("offline_token", "true"), ("client_id", CLIENT_ID)]
        headers = {"Accept": "application/json"}
        if (basic := self._basic_or_none()) is not None:
            fields.append(("account", self._credentials.username))
            headers["Authorization"] = basic
        url = realm
        if fields:
            url += ("&" if "?" in realm else "?") + urlencode(fields)
        return await self._ask("GET", url, headers, None)

    async def _post(
        self, realm: str, service: str, scopes: Sequence[str], refresh: str
    ) -> dict[str, Any]:
        """OAuth2 (distribution's token/oauth document): a refresh token for an access token."""
        form = urlencode(
            {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": CLIENT_ID,
                "scope": " ".join(scopes),
                "refresh_token": refresh,
            }
        )
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return await self._ask("POST", realm, headers, form.encode())

    async def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> dict[str, Any]:
        try:
            async with (
                asyncio.timeout(self._client.limits.small_s),
                self._client.request(
                    method, url, self._endpoint, headers=headers, body=body
                ) as answer,
            ):
                if answer.status >= 300:
                    raise await complaint_of(answer)
                raw = await answer.read(_TOKEN_LIMIT_BYTES, "the token server's answer")
        except TimeoutError as error:
            raise TransportError(
                f'{method.title()} "{url}": net/http: request canceled (Client.Timeout exceeded)',
                reached=True,
                passing=True,
            ) from error
        except TooLarge as error:
            raise RegistryError(error.message, kind="internal", status=200) from error
        try:
            document = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise RegistryError(
                f"unable to decode token response: {error}", kind="internal", status=200
            ) from error
        if not isinstance(document, dict):
            raise RegistryError(
                "unable to decode token response: not a JSON object", kind="internal", status=200
            )
        return document
