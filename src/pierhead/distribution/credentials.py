"""What clients send along to prove who they are: ``X-Registry-Auth``, ``X-Registry-Config``."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any, Final

from pierhead.errors import InvalidParameter

_LIMIT_CHARACTERS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """Empty fields mean "not given". Secrets never show in ``repr``."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """An OAuth2 refresh token."""
    registry_token: str = field(default="", repr=False)
    """A bearer token to send as it is."""
    server_address: str = ""

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token or self.registry_token)


def decode(header: str | None) -> Credentials | None:
    """``X-Registry-Auth``: base64url JSON. ``None`` for a missing or empty one.

    Raises ``InvalidParameter`` in Docker's words for what can't be read. ``{}`` means
    "none" as well: that is what clients send who know nothing of the registry.
    """
    if not header or header == "null":
        return None
    return of_document(_document(header, "X-Registry-Auth")) or None


def decode_config(header: str | None) -> dict[str, Credentials]:
    """``X-Registry-Config``: credentials by registry, as ``docker build`` sends them."""
    if not header or header == "null":
        return {}
    document = _document(header, "X-Registry-Config")
    found = {}
    for server, entry in document.items():
        if isinstance(entry, dict) and (credentials := of_document(entry)):
            found[server] = credentials
    return found


def of_document(document: dict[str, Any]) -> Credentials:
    """From Docker's ``AuthConfig`` (the body of ``POST /auth`` is one). Keys in any case.

    ``auth`` (base64 of ``user:password``) counts where there is no user name.
    """
    given = {
        key.lower(): value for key, value in document.items() if isinstance(value, str) and value
    }
    username, password = given.get("username", ""), given.get("password", "")
    if not username and (packed := given.get("auth")):
        username, password = _unpack(packed)
    return Credentials(
        username=username,
        password=password,
        identity_token=given.get("identitytoken", ""),
        registry_token=given.get("registrytoken", ""),
        server_address=given.get("serveraddress", ""),
    )


def _document(header: str, name: str) -> dict[str, Any]:
    """Base64 in either alphabet, padded or not: clients differ."""
    if len(header) > _LIMIT_CHARACTERS:
        raise InvalidParameter(f"invalid {name} header: larger than {_LIMIT_CHARACTERS} bytes")
    compact = header.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        if any(c.isspace() for c in compact):
            raise binascii.Error("illegal base64 data")
        raw = base64.b64decode(compact + "=" * (-len(compact) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidParameter(f"invalid {name} header: must be base64url-encoded") from error
    if not raw.strip():
        return {}
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"invalid {name} header: invalid JSON") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidParameter(f"invalid {name} header: want a JSON object")
    return document


def _unpack(packed: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise InvalidParameter("invalid X-Registry-Auth header: bad auth field") from error
    username, _, password = text.partition(":")
    return username, password.strip("\0")
