"""The classic door's client: credentials by registry, one tar, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pierhead.api.build.classic import ClassicClient, host_of
from pierhead.build.model import Output, Wanted
from pierhead.distribution.credentials import Credentials
from pierhead.errors import InvalidParameter, NotFound


async def tar() -> AsyncIterator[bytes]:
    yield b"tar"


def client() -> ClassicClient:
    given = {
        "https://index.docker.io/v1/": Credentials(username="u", password="p"),
        "r.example:5000": Credentials(identity_token="t"),
    }
    return ClassicClient(tar(), given, lambda message: None)


async def test_credentials() -> None:
    asked = client()
    assert await asked.credentials("docker.io") == ("u", "p")
    assert await asked.credentials("r.example:5000") == ("", "t")
    assert await asked.credentials("r.example") is None


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("http://R.example:5000/v2/", "r.example:5000"),
    ],
)
def test_hosts(server: str, host: str) -> None:
    assert host_of(server) == host


async def test_what_it_has_not() -> None:
    asked = client()
    assert await asked.secret("x") is None
    assert await asked.ssh("default") is None
    with pytest.raises(NotFound):
        await anext(asked.local("context", Wanted()))
    with pytest.raises(InvalidParameter):
        asked.receive(Output(type="tar"))
    source = await asked.context_tar()
    assert source is not None
    assert [chunk async for chunk in source] == [b"tar"]
