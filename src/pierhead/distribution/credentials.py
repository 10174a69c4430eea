"""What clients send along to prove who they are: ``X-Registry-Auth``, ``X-Registry-Config``."""

from __future__ import annotations

from dataclasses import dataclass, field

from pierhead.errors import NotImplementedYet


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

    Raises ``InvalidParameter`` in Docker's words for what can't be read.
    """
    raise NotImplementedYet("registry credentials are not read yet")


def decode_config(header: str | None) -> dict[str, Credentials]:
    """``X-Registry-Config``: credentials by registry, as ``docker build`` sends them."""
    raise NotImplementedYet("registry credentials are not read yet")
