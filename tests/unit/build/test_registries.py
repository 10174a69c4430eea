from __future__ import annotations

import base64
import json
from typing import Any

from pierhead.build.registries import auth_for, encode
from pierhead.oci import reference


class Asked:
    """A client with credentials for some hosts."""

    def __init__(self, **known: tuple[str, str]) -> None:
        self.known = {key.replace("__", "/"): value for key, value in known.items()}
        self.hosts: list[str] = []

    async def credentials(self, host: str) -> tuple[str, str] | None:
        self.hosts.append(host)
        return self.known.get(host)


def decoded(header: str | None) -> Any:
    assert header is not None
    return json.loads(base64.urlsafe_b64decode(header))


async def test_the_registry_s_own_credentials_are_asked_for() -> None:
    client = Asked(**{"host:5000": ("me", "secret")})
    auth = await auth_for(client, reference.parse("host:5000/app"))  # type: ignore[arg-type]
    assert decoded(auth) == {"username": "me", "password": "secret"}
    assert client.hosts == ["host:5000"]


async def test_docker_s_hub_has_two_names() -> None:
    client = Asked()
    assert await auth_for(client, reference.parse("app")) is None  # type: ignore[arg-type]
    assert client.hosts == ["docker.io", "https://index.docker.io/v1/"]


def test_a_password_without_a_user_is_an_identity_token() -> None:
    assert decoded(encode("", "token")) == {"identitytoken": "token"}
