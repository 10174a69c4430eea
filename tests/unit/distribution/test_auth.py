"""Tokens: fetched once, kept while they live, sent to whom they are for."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from pierhead.distribution.auth import Authorizer
from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import Endpoint
from pierhead.distribution.failures import TransportError
from pierhead.distribution.http import Client, Limits
from support import lying
from support.lying import LyingRegistry

ANNA = Credentials("anna", "secret")
SECURE = Endpoint("https://registry.example", "registry.example")
PLAIN = Endpoint("http://registry.example", "registry.example", verify=False)
SCOPE = "repository:a/b:pull"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[LyingRegistry]:
    """Gives tokens t1, t2, ... of 100 s."""
    with LyingRegistry() as liar:

        def give(exchange: lying.Exchange) -> None:
            token = {"token": f"t{len(liar.asked('*', 'token')) or len(liar.requests)}"}
            exchange.reply(200, json.dumps({**token, "expires_in": 100}).encode())

        liar.on("*", "/token", give)
        yield liar


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(certs_dirs=(), environment={}, limits=Limits(stall_s=5)) as made:
        yield made


def authorizer(
    client: Client,
    credentials: Credentials | None,
    header: str,
    *,
    endpoint: Endpoint = PLAIN,
    **options: Any,
) -> Authorizer:
    made = Authorizer(client, endpoint, credentials, **options)
    assert made.take([header])
    return made


def bearer(server: LyingRegistry, extra: str = "") -> str:
    return f'Bearer realm="{server.url}/token",service="the registry"{extra}'


async def test_nothing_is_sent_unasked(client: Client) -> None:
    made = Authorizer(client, PLAIN, ANNA)
    assert await made.header([SCOPE]) is None
    assert not made.challenged
    assert not made.take(["Negotiate"])


async def test_basic(client: Client) -> None:
    made = authorizer(client, ANNA, 'Basic realm="x"')
    assert await made.header([SCOPE]) == "Basic YW5uYTpzZWNyZXQ="
    for nobody in (None, Credentials("anna"), Credentials(identity_token="x")):
        with pytest.raises(RegistryError, match="no basic auth credentials"):
            await authorizer(client, nobody, 'Basic realm="x"').header([])


async def test_bearer_counts_before_basic(client: Client, server: LyingRegistry) -> None:
    made = Authorizer(client, PLAIN, ANNA)
    assert made.take(['Basic realm="x"', bearer(server)])
    assert (await made.header([SCOPE])).startswith("Bearer ")  # type: ignore[union-attr]


async def test_asking_for_a_token(client: Client, server: LyingRegistry) -> None:
    made = authorizer(client, ANNA, bearer(server))
    assert await made.header([SCOPE, SCOPE, "repository:c:pull"]) == "Bearer t1"
    (request,) = server.requests
    assert request.query == {
        "service": ["the registry"],
        "scope": [SCOPE, "repository:c:pull"],
        "account": ["anna"],
    }
    assert request.headers["authorization"] == "Basic YW5uYTpzZWNyZXQ="


async def test_nobody_asks_without_a_name(client: Client, server: LyingRegistry) -> None:
    await authorizer(client, None, bearer(server)).header([SCOPE])
    assert "authorization" not in server.requests[0].headers
    assert "account" not in server.requests[0].query


async def test_a_realm_with_a_query(client: Client, server: LyingRegistry) -> None:
    header = f'Bearer realm="{server.url}/token?tenant=7"'
    await authorizer(client, None, header).header([SCOPE])
    assert server.requests[0].query == {"tenant": ["7"], "scope": [SCOPE]}


async def test_tokens_are_kept_while_they_live(client: Client, server: LyingRegistry) -> None:
    clock = Clock()
    made = authorizer(client, None, bearer(server), clock=clock)
    assert await made.header([SCOPE]) == "Bearer t1"
    clock.now += 94
    assert await made.header([SCOPE]) == "Bearer t1"
    assert await made.header(["repository:c:pull"]) == "Bearer t2"
    clock.now += 2
    assert await made.header([SCOPE]) == "Bearer t3"
    made.reject("Bearer t3")
    assert await made.header([SCOPE]) == "Bearer t4"


async def test_one_request_for_many_that_wait(client: Client, server: LyingRegistry) -> None:
    import asyncio

    made = authorizer(client, None, bearer(server))
    found = await asyncio.gather(*(made.header([SCOPE]) for _ in range(20)))
    assert set(found) == {"Bearer t1"}
    assert len(server.requests) == 1


async def test_refresh_tokens(client: Client, server: LyingRegistry) -> None:
    made = authorizer(client, Credentials(identity_token="refresh"), bearer(server))
    assert await made.header([SCOPE, "repository:c:pull"]) == "Bearer t1"
    (request,) = server.requests
    assert request.method == "POST"
    assert "authorization" not in request.headers
    assert urllib.parse.parse_qs(request.body.decode()) == {
        "grant_type": ["refresh_token"],
        "service": ["the registry"],
        "client_id": ["docker"],
        "scope": [f"{SCOPE} repository:c:pull"],
        "refresh_token": ["refresh"],
    }


async def test_a_given_bearer_token(client: Client, server: LyingRegistry) -> None:
    made = authorizer(client, Credentials(registry_token="given"), bearer(server))
    assert await made.header([SCOPE]) == "Bearer given"
    assert not server.requests


async def test_a_login_asks_for_a_refresh_token(client: Client, server: LyingRegistry) -> None:
    document = b'{"access_token": "a", "refresh_token": "r"}'
    server.on("GET", "/token", lying.other_bytes(document))
    made = authorizer(client, ANNA, bearer(server), offline=True)
    assert await made.header([]) == "Bearer a"
    assert made.refresh_token == "r"
    assert server.requests[0].query["offline_token"] == ["true"]
    assert server.requests[0].query["client_id"] == ["docker"]


async def test_a_refusal(client: Client, server: LyingRegistry) -> None:
    server.on(
        "GET",
        "/token",
        lambda exchange: exchange.error(401, "UNAUTHORIZED", "incorrect username or password"),
    )
    with pytest.raises(RegistryError) as raised:
        await authorizer(client, ANNA, bearer(server)).header([SCOPE])
    assert str(raised.value) == "unauthorized: incorrect username or password"
    assert raised.value.kind == "unauthorized"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b'{"token": ""}',
        b'{"token": 5}',
        b'{"token": "a\\r\\nX-Evil: 1"}',
        b'{"token": null, "access_token": null}',
        b"[" * 200_000,
        b"\xff\xfe",
    ],
)
async def test_answers_without_a_token(client: Client, server: LyingRegistry, body: bytes) -> None:
    server.on("GET", "/token", lying.other_bytes(body))
    with pytest.raises(RegistryError, match="token"):
        await authorizer(client, None, bearer(server)).header([SCOPE])


async def test_an_endless_answer(client: Client, server: LyingRegistry) -> None:
    server.on("GET", "/token", lying.endless())
    with pytest.raises(RegistryError, match="is larger than"):
        await authorizer(client, None, bearer(server)).header([SCOPE])


@pytest.mark.parametrize("life", ["-5", "0", "1e400", '"x"', "null", "true", "99999999999999"])
async def test_odd_lifetimes(client: Client, server: LyingRegistry, life: str) -> None:
    server.on("GET", "/token", lying.other_bytes(b'{"token":"t","expires_in":%s}' % life.encode()))
    assert await authorizer(client, None, bearer(server)).header([SCOPE]) == "Bearer t"


@pytest.mark.parametrize(
    ("realm", "words"),
    [
        ("", "no realm specified for token auth challenge"),
        ("/token", "invalid token auth challenge realm"),
        ("file:///etc/passwd", "invalid token auth challenge realm"),
        ("http://", "invalid token auth challenge realm"),
        ("http://a:b:c/", "invalid token auth challenge realm"),
    ],
)
async def test_bad_realms(client: Client, realm: str, words: str) -> None:
    made = authorizer(client, ANNA, f'Bearer realm="{realm}"' if realm else "Bearer")
    with pytest.raises(RegistryError, match=words):
        await made.header([SCOPE])


async def test_no_password_in_the_clear(client: Client, server: LyingRegistry) -> None:
    """A registry with TLS can't talk us into telling the password to everybody."""
    for known in (ANNA, Credentials(identity_token="x")):
        made = authorizer(client, known, bearer(server), endpoint=SECURE)
        with pytest.raises(RegistryError, match="refusing to send the credentials"):
            await made.header([SCOPE])
    assert not server.requests


async def test_no_token_server(client: Client) -> None:
    made = authorizer(client, None, 'Bearer realm="http://127.0.0.1:1/token"')
    with pytest.raises(TransportError, match="connection refused"):
        await made.header([SCOPE])


async def test_a_redirected_token_server_learns_no_password(
    client: Client, server: LyingRegistry
) -> None:
    with LyingRegistry() as thief:
        thief.on("GET", "/token", lying.other_bytes(b'{"token":"x"}'))
        server.on("GET", "/token", lying.redirect(f"{thief.url}/token"))
        await authorizer(client, ANNA, bearer(server)).header([SCOPE])
        assert "authorization" not in thief.requests[0].headers
