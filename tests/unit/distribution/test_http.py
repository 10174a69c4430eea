"""Requests against servers that redirect, stall, break off and show other certificates."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pierhead.distribution.endpoints import Endpoint
from pierhead.distribution.failures import TransportError
from pierhead.distribution.http import Client, Limits, origin, without_query
from pierhead.errors import TooLarge
from support import lying
from support.certificates import Authority
from support.lying import LyingRegistry

SECRET = {"Authorization": "Basic c2VjcmV0"}


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        yield registry


@pytest.fixture
def other() -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        yield registry


def endpoint_of(liar: LyingRegistry, *, verify: bool = False) -> Endpoint:
    return Endpoint(liar.url, liar.host, verify=verify)


async def ask(
    liar: LyingRegistry,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    verify: bool = False,
    certs_dirs: tuple[Path, ...] = (),
    environment: Mapping[str, str] | None = None,
    checked: bool = False,
    body: bytes | None = None,
) -> tuple[int, bytes]:
    client = Client(limits=limits, certs_dirs=certs_dirs, environment=environment or {})
    endpoint = endpoint_of(liar, verify=verify)
    async with (
        client,
        client.request(
            method, liar.url + path, endpoint, headers=headers, checked=checked, body=body
        ) as answer,
    ):
        return answer.status, await answer.read(1 << 20, "the answer")


async def test_an_answer_of_any_status(liar: LyingRegistry) -> None:
    assert await ask(liar, "/v2/") == (200, b"{}")
    status, body = await ask(liar, "/v2/x/manifests/y")
    assert status == 404
    assert b"MANIFEST_UNKNOWN" in body
    assert liar.requests[0].headers["accept-encoding"] == "identity"


# Redirects


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_the_proof_stays_with_its_host(
    liar: LyingRegistry, other: LyingRegistry, code: int
) -> None:
    digest = other.add_blob(b"data")
    liar.on("GET", "/blobs/", lying.redirect(f"{other.url}/v2/x/blobs/{digest}?sig=a%2Fb", code))
    assert await ask(liar, "/v2/x/blobs/y", headers=SECRET) == (200, b"data")
    assert liar.requests[0].headers["authorization"] == SECRET["Authorization"]
    assert "authorization" not in other.requests[0].headers
    assert other.requests[0].path.endswith("?sig=a%2Fb"), "a signature must not be rewritten"


async def test_the_proof_does_not_come_back(liar: LyingRegistry, other: LyingRegistry) -> None:
    """A redirect to another host and from there home again: that host chose the URL."""
    other.on("GET", "/away", lying.redirect(f"{liar.url}/v2/"))
    liar.on("GET", "/start", lying.redirect(f"{other.url}/away"))
    assert (await ask(liar, "/start", headers=SECRET))[0] == 200
    assert "authorization" not in liar.requests[1].headers


async def test_another_port_is_another_host(liar: LyingRegistry, other: LyingRegistry) -> None:
    assert liar.host.split(":")[0] == other.host.split(":")[0]
    assert origin(liar.url) != origin(other.url)


async def test_relative_redirects_keep_the_proof(liar: LyingRegistry) -> None:
    liar.on("GET", "/start", lying.redirect("v2/"))
    assert await ask(liar, "/start", headers=SECRET) == (200, b"{}")
    assert liar.requests[1].headers["authorization"] == SECRET["Authorization"]


@pytest.mark.parametrize(
    ("to", "asked"),
    [
        ("/x y?a=b c", "/x%20y?a=b%20c"),
        ("/x HTTP/1.1", "/x%20HTTP/1.1"),
        ("/\xfc", "/%C3%BC"),
        ("/a%2Fb%zz?sig=%2b+=", "/a%2Fb%zz?sig=%2b+="),
    ],
)
async def test_odd_locations(liar: LyingRegistry, to: str, asked: str) -> None:
    def lie(exchange: lying.Exchange) -> None:
        exchange.send_response(307)
        exchange.send_header("Content-Length", "0")
        # http.server would encode as Latin-1; servers send UTF-8.
        exchange.flush_headers()
        exchange.wfile.write(b"Location: " + to.encode() + b"\r\n\r\n")

    liar.on("GET", "/start", lie)
    await ask(liar, "/start")
    assert liar.requests[1].path == asked


async def test_redirect_loops_end(liar: LyingRegistry) -> None:
    liar.on("GET", "/loop", lying.redirect("/loop?x=1"))
    with pytest.raises(TransportError, match="stopped after 10 redirects"):
        await ask(liar, "/loop")
    assert len(liar.requests) == 11


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://a.example/", "javascript:1"])
async def test_redirects_to_other_kinds(liar: LyingRegistry, to: str) -> None:
    liar.on("GET", "/start", lying.redirect(to))
    with pytest.raises(TransportError, match="unsupported protocol scheme"):
        await ask(liar, "/start")


async def test_what_is_posted_is_not_sent_on(liar: LyingRegistry, other: LyingRegistry) -> None:
    liar.on("POST", "/start", lying.redirect(f"{other.url}/x", 302))
    assert (await ask(liar, "/start", method="POST", body=b"token=secret"))[0] == 302
    assert not other.requests


async def test_signatures_stay_out_of_messages(liar: LyingRegistry) -> None:
    liar.on("GET", "/start", lying.redirect("http://127.0.0.1:1/blob?signature=secret"))
    with pytest.raises(TransportError) as raised:
        await ask(liar, "/start")
    assert "secret" not in str(raised.value)
    assert "127.0.0.1:1/blob" in str(raised.value)
    assert without_query("https://a/b?c#d") == "https://a/b"


# Certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def trusting(folder: Path, host: str, authority: Authority) -> tuple[Path, ...]:
    (folder / host).mkdir(parents=True)
    (folder / host / "ca.crt").write_bytes(authority.ca.read_bytes())
    return (folder,)


async def test_an_authority_of_ones_own(authority: Authority, tmp_path: Path) -> None:
    with LyingRegistry(tls=authority.issue("server")) as liar:
        with pytest.raises(TransportError, match="certificate signed by unknown authority"):
            await ask(liar, "/v2/", verify=True)
        assert await ask(liar, "/v2/", verify=False) == (200, b"{}")
        certs = trusting(tmp_path, liar.host, authority)
        assert await ask(liar, "/v2/", verify=True, certs_dirs=certs) == (200, b"{}")
        # Nothing was sent to a server that nobody vouches for.
        assert len(liar.requests) == 2


async def test_a_certificate_for_another_host(authority: Authority, tmp_path: Path) -> None:
    with LyingRegistry(tls=authority.issue("elsewhere", names="DNS:a.example")) as liar:
        certs = trusting(tmp_path, liar.host, authority)
        with pytest.raises(TransportError, match=r"x509: .*127\.0\.0\.1"):
            await ask(liar, "/v2/", verify=True, certs_dirs=certs)


async def test_client_certificates(authority: Authority, tmp_path: Path) -> None:
    with LyingRegistry(tls=authority.issue("server"), client_ca=authority.ca) as liar:
        certs = trusting(tmp_path, liar.host, authority)
        with pytest.raises(TransportError):
            await ask(liar, "/v2/", verify=True, certs_dirs=certs)
        certificate, key = authority.issue("anna", client=True)
        folder = tmp_path / liar.host
        (folder / "anna.cert").write_bytes(certificate.read_bytes())
        (folder / "anna.key").write_bytes(key.read_bytes())
        assert await ask(liar, "/v2/", verify=True, certs_dirs=certs) == (200, b"{}")


async def test_no_way_from_https_to_http(
    authority: Authority, tmp_path: Path, other: LyingRegistry
) -> None:
    """Except for what a digest proves."""
    with LyingRegistry(tls=authority.issue("server")) as liar:
        certs = trusting(tmp_path, liar.host, authority)
        liar.on("GET", "/start", lying.redirect(f"{other.url}/v2/"))
        with pytest.raises(TransportError, match="refusing a redirect from https to http"):
            await ask(liar, "/start", verify=True, certs_dirs=certs)
        assert not other.requests
        found = await ask(liar, "/start", verify=True, certs_dirs=certs, checked=True)
        assert found == (200, b"{}")


async def test_http_where_https_was_expected(liar: LyingRegistry) -> None:
    endpoint = Endpoint(f"https://{liar.host}", liar.host, verify=False)
    async with Client(certs_dirs=(), environment={}) as client:
        with pytest.raises(TransportError, match="server gave HTTP response to HTTPS client"):
            async with client.request("GET", f"{endpoint.url}/v2/", endpoint):
                pass


# Time and size


async def test_a_stalled_body(liar: LyingRegistry) -> None:
    until = threading.Event()
    liar.on("GET", "/stall", lying.stall(until, b"some"))
    try:
        with pytest.raises(TransportError, match=r"Client\.Timeout while reading body") as raised:
            await ask(liar, "/stall", limits=Limits(stall_s=0.3))
        assert raised.value.passing
        assert raised.value.reached
    finally:
        until.set()


async def test_no_headers(liar: LyingRegistry) -> None:
    until = threading.Event()
    liar.on("GET", "/stall", lying.silent(until))
    try:
        with pytest.raises(
            TransportError, match=r"Client\.Timeout exceeded while awaiting headers"
        ):
            await ask(liar, "/stall", limits=Limits(stall_s=0.3))
    finally:
        until.set()


async def test_an_early_end(liar: LyingRegistry) -> None:
    liar.on("GET", "/cut", lambda exchange: exchange.reply(200, b"some", length=1000))
    with pytest.raises(TransportError, match="unexpected EOF") as raised:
        await ask(liar, "/cut")
    assert raised.value.passing


async def test_more_than_wanted(liar: LyingRegistry) -> None:
    liar.on("GET", "/endless", lying.endless())
    with pytest.raises(TooLarge, match="the answer is larger than 1048576 bytes"):
        await ask(liar, "/endless")


@pytest.mark.parametrize("answer", [b"hello\r\n\r\n", b"HTTP/9 what\r\n\r\n", b"\x00" * 100, b""])
async def test_no_http_at_all(answer: bytes) -> None:
    """A mail server, a line noise, a hang-up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                connection.recv(65536)
                connection.sendall(answer)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    endpoint = Endpoint(url, url.removeprefix("http://"), verify=False)
    try:
        async with Client(certs_dirs=(), environment={}) as client:
            with pytest.raises(TransportError, match=f'Get "{url}/v2/": '):
                async with client.request("GET", f"{url}/v2/", endpoint):
                    pass
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


async def test_header_bombs(liar: LyingRegistry) -> None:
    liar.on("GET", "/bomb", lying.status(200, b"", X_Bomb="x" * 1_000_000))
    with pytest.raises(TransportError):
        await ask(liar, "/bomb")


# Where connections go


async def test_a_proxy_from_the_environment(liar: LyingRegistry, other: LyingRegistry) -> None:
    """The proxy sees the whole URL, and is not asked for loopback addresses."""
    environment = {"http_proxy": f"http://anna:pw@{other.host}", "NO_PROXY": "b.example"}
    other.on("GET", "a.example", lying.status(200, b"by proxy"))
    endpoint = Endpoint("http://a.example:5000", "a.example:5000", verify=False)
    async with Client(certs_dirs=(), environment=environment) as client:
        async with client.request("GET", f"{endpoint.url}/v2/", endpoint) as answer:
            assert await answer.read(100, "x") == b"by proxy"
    assert other.requests[0].path == "http://a.example:5000/v2/"
    assert other.requests[0].headers["proxy-authorization"] == "Basic YW5uYTpwdw=="
    assert await ask(liar, "/v2/", environment=environment) == (200, b"{}")
    assert len(other.requests) == 1


async def test_a_proxy_that_is_not_there() -> None:
    endpoint = Endpoint("http://a.example", "a.example", verify=False)
    environment = {"HTTP_PROXY": "http://127.0.0.1:1"}
    async with Client(certs_dirs=(), environment=environment) as client:
        with pytest.raises(TransportError, match=r"proxyconnect tcp: dial tcp 127\.0\.0\.1:1"):
            async with client.request("GET", "http://a.example/v2/", endpoint):
                pass


async def test_only_the_addresses_that_are_trusted(liar: LyingRegistry) -> None:
    """An endpoint that is insecure by its address is asked at no other one."""
    url = f"http://nowhere.invalid:{liar.port}"
    endpoint = Endpoint(url, url.removeprefix("http://"), verify=False, addresses=("127.0.0.1",))
    async with Client(certs_dirs=(), environment={}) as client:
        async with client.request("GET", f"{url}/v2/", endpoint) as answer:
            assert answer.status == 200


async def test_ipv6_literals() -> None:
    try:
        liar = LyingRegistry(address="::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with liar:
        assert await ask(liar, "/v2/") == (200, b"{}")
        assert liar.requests[0].headers["host"] == liar.host


async def test_nobody_there() -> None:
    endpoint = Endpoint("http://127.0.0.1:1", "127.0.0.1:1", verify=False)
    async with Client(certs_dirs=(), environment={}) as client:
        with pytest.raises(TransportError) as raised:
            async with client.request("GET", "http://127.0.0.1:1/v2/", endpoint):
                pass
    assert str(raised.value) == (
        'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
    )
    assert not raised.value.reached


async def test_cancelling_closes_the_connection(liar: LyingRegistry) -> None:
    liar.on("GET", "/endless", lying.endless())
    task = asyncio.get_running_loop().create_task(ask(liar, "/endless", limits=Limits()))
    while not liar.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, TooLarge)):
        await task
