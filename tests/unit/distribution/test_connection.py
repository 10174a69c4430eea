"""One endpoint: the second try with a proof, addresses that come back, Docker's words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.connection import Connection
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.endpoints import Endpoint
from pierhead.distribution.failures import TransportError
from pierhead.distribution.http import Client, Limits
from support import lying
from support.lying import LyingRegistry

ANNA = Credentials("anna", "secret")


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        yield registry


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    limits = Limits(stall_s=5, small_s=5, pauses_s=(0.01,))
    async with Client(certs_dirs=(), environment={}, limits=limits) as made:
        yield made


def connection(
    client: Client, liar: LyingRegistry, known: Credentials | None = None, **options: bool
) -> Connection:
    return Connection(client, Endpoint(liar.url, liar.host, verify=False, **options), known)


async def get(made: Connection, path: str, **options: bool) -> tuple[int, bytes]:
    async with made.send("GET", made.url(path), scopes=["s"], **options) as answer:
        return answer.status, await answer.read(1 << 20, "x")


async def test_a_proof_is_shown_when_asked_for_and_from_then_on(
    client: Client, liar: LyingRegistry
) -> None:
    liar.on("*", "/v2/", lying.basic("anna", "secret"))
    made = connection(client, liar, ANNA)
    for _ in range(2):
        assert (await get(made, "/v2/"))[0] == 200
    assert ["authorization" in request.headers for request in liar.requests] == [False, True, True]


async def test_a_wrong_password_is_tried_once(client: Client, liar: LyingRegistry) -> None:
    liar.on("*", "/v2/", lying.basic("anna", "other"))
    made = connection(client, liar, ANNA)
    with pytest.raises(RegistryError, match="unauthorized: authentication required"):
        await get(made, "/v2/")
    assert len(liar.requests) == 2


async def test_without_a_password(client: Client, liar: LyingRegistry) -> None:
    liar.on("*", "/v2/", lying.basic("anna", "secret"))
    with pytest.raises(RegistryError) as raised:
        await get(connection(client, liar), "/v2/x/manifests/y")
    assert str(raised.value) == f'Get "{liar.url}/v2/x/manifests/y": no basic auth credentials'
    assert raised.value.of_proof


async def test_a_token_that_expires_on_the_way(client: Client, liar: LyingRegistry) -> None:
    """The token server says an hour, the registry takes each token once."""
    guard, used = lying.tokens_for_one_use(liar)
    liar.on("*", "/v2/", guard)
    made = connection(client, liar)
    for _ in range(3):
        assert (await get(made, "/v2/"))[0] == 200
    assert used == {"t1", "t2", "t3"}


async def test_a_registry_that_takes_no_token(client: Client, liar: LyingRegistry) -> None:
    liar.on("*", "/v2/", lying.bearer(f"{liar.url}/token", lambda token: False))
    liar.on("GET", "/token", lying.other_bytes(b'{"token":"t"}'))
    with pytest.raises(RegistryError, match="authentication required"):
        await get(connection(client, liar), "/v2/")
    assert len(liar.asked("GET", "/v2/")) == 2


async def test_a_mirror_never_sees_the_credentials(client: Client, liar: LyingRegistry) -> None:
    liar.on("*", "/v2/", lying.basic("anna", "secret"))
    with pytest.raises(RegistryError, match="no basic auth credentials"):
        await get(connection(client, liar, ANNA, mirror=True), "/v2/")
    assert all("authorization" not in request.headers for request in liar.requests)


async def test_other_origins_get_no_proof(client: Client, liar: LyingRegistry) -> None:
    """An upload's Location, a foreign layer's URL: another host that asks in vain."""
    liar.on("*", "/v2/", lying.basic("anna", "secret"))
    made = connection(client, liar, ANNA)
    await get(made, "/v2/")
    with LyingRegistry() as thief:
        thief.on("*", ".", lying.status(401, b"", WWW_Authenticate='Basic realm="liar"'))
        with pytest.raises(RegistryError):
            async with made.send("GET", f"{thief.url}/x"):
                pass
        assert [("authorization" in request.headers) for request in thief.requests] == [False]


async def test_a_redirect_target_asks_in_vain(client: Client, liar: LyingRegistry) -> None:
    """A 401 of the host we were sent to must not make us show it a proof."""
    with LyingRegistry() as thief:
        thief.on("*", ".", lying.status(401, b"", WWW_Authenticate='Basic realm="liar"'))
        liar.on("GET", "/v2/", lying.redirect(f"{thief.url}/x"))
        with pytest.raises(RegistryError):
            await get(connection(client, liar, ANNA), "/v2/")
        assert [("authorization" in request.headers) for request in thief.requests] == [False]


async def test_missing_may_be_an_answer(client: Client, liar: LyingRegistry) -> None:
    assert (await get(connection(client, liar), "/v2/x/manifests/y", missing_ok=True))[0] == 404
    with pytest.raises(RegistryError, match="manifest unknown"):
        await get(connection(client, liar), "/v2/x/manifests/y")


async def test_the_first_failure_is_told_of_the_ping(client: Client) -> None:
    """dockerd asks for /v2/ first, and that is what people look for."""
    made = Connection(client, Endpoint("http://127.0.0.1:1", "127.0.0.1:1", verify=False), None)
    with pytest.raises(TransportError) as raised:
        await get(made, "/v2/x/manifests/y")
    assert str(raised.value) == (
        'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
    )
    assert not made.reached


async def test_a_slow_drip_is_bounded(liar: LyingRegistry) -> None:
    """A byte now and then is no stall; small things have a time for the whole."""
    import threading

    until = threading.Event()

    def drip(exchange: lying.Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Length", "1000000")
        exchange.end_headers()
        while not until.wait(0.05):
            exchange.wfile.write(b"x")
            exchange.wfile.flush()

    liar.on("GET", "/drip", drip)
    limits = Limits(stall_s=5, small_s=0.5)
    try:
        async with Client(certs_dirs=(), environment={}, limits=limits) as client:
            with pytest.raises(TransportError, match="exceeded while reading body"):
                await connection(client, liar).read("/v2/drip", 1 << 20, "x")
    finally:
        until.set()


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        ("/v2/x/blobs/uploads/1?_state=a%2F", "https://a.example:5000/v2/x/blobs/uploads/1?_state=a%2F"),
        ("https://b.example/u", "https://b.example/u"),
        ("http://a.example:5000/v2/u?x=1", "https://a.example:5000/v2/u?x=1"),
        ("http://a.example/v2/u", "https://a.example:5000/v2/u"),
        ("http://a.example:80/v2/u", "https://a.example:5000/v2/u"),
        ("http://b.example/v2/u", "http://b.example/v2/u"),
        ("u2", "https://a.example:5000/v2/x/blobs/uploads/u2"),
    ],
)  # fmt: skip
async def test_locations(client: Client, location: str, wanted: str) -> None:
    """A registry behind a proxy with TLS often names itself without."""
    made = Connection(client, Endpoint("https://a.example:5000", "a.example:5000"), None)
    assert made.resolve("https://a.example:5000/v2/x/blobs/uploads/", location) == wanted
