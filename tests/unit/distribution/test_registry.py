"""The protocol: manifests, tags, mounts, logins; which endpoint answers; odd registries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.failures import TransportError
from pierhead.distribution.http import Limits
from pierhead.distribution.registry import MANIFEST_LIMIT_BYTES, Registry
from pierhead.errors import InvalidParameter, TooLarge
from pierhead.oci import manifest as oci
from pierhead.oci.digest import sha256
from pierhead.oci.manifest import Descriptor
from support import lying
from support.certificates import Authority
from support.lying import LyingRegistry
from support.registries import settings

REPO = "some/repo"
FAST = Limits(stall_s=10, small_s=10, pauses_s=(0.01, 0.02))


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        registry.add_image(REPO, "latest", [b"layer"])
        yield registry


def client(host: str, *, known: Any = None, **options: Any) -> Registry:
    options.setdefault("certs_dirs", ())
    return Registry(host, known or settings(), limits=FAST, **options)


async def test_manifests_by_tag_and_digest(liar: LyingRegistry) -> None:
    _, data = liar.manifests[REPO, "latest"]
    async with client(liar.host) as registry:
        for ref in ("latest", sha256(data)):
            found = await registry.manifest(REPO, ref)
            assert (found.data, found.digest) == (data, sha256(data))
            assert found.media_type == oci.DOCKER_MANIFEST
            assert found.descriptor.size == len(data)
            head = await registry.head_manifest(REPO, ref)
            assert head == found.descriptor
    asked = liar.asked("GET", "/manifests/")[0].headers["accept"]
    assert oci.OCI_INDEX in asked
    assert oci.DOCKER_LIST in asked


async def test_missing_manifests(liar: LyingRegistry) -> None:
    async with client(liar.host) as registry:
        with pytest.raises(RegistryError, match="manifest unknown: manifest unknown") as raised:
            await registry.manifest(REPO, "nix")
        assert raised.value.kind == "not_found"
        assert await registry.head_manifest(REPO, "nix") is None


async def test_a_head_without_what_is_needed(liar: LyingRegistry) -> None:
    _, data = liar.manifests[REPO, "latest"]
    liar.on("HEAD", "/manifests/", lying.status(200))
    async with client(liar.host) as registry:
        found = await registry.head_manifest(REPO, "latest")
    assert found is not None
    assert found.digest == sha256(data)


async def test_a_head_that_is_refused_says_why(liar: LyingRegistry) -> None:
    liar.on("HEAD", "/manifests/", lying.status(403))
    liar.on("GET", "/manifests/", lambda exchange: exchange.error(403, "DENIED", "go away"))
    async with client(liar.host) as registry:
        with pytest.raises(RegistryError, match="denied: go away"):
            await registry.head_manifest(REPO, "latest")


# Lies about manifests


async def test_another_manifest_than_asked_for(liar: LyingRegistry) -> None:
    _, data = liar.manifests[REPO, "latest"]
    liar.on("GET", "/manifests/", lying.other_bytes(data + b" "))
    async with client(liar.host) as registry:
        with pytest.raises(InvalidParameter, match="manifest verification failed for digest"):
            await registry.manifest(REPO, sha256(data))


async def test_another_manifest_than_announced(liar: LyingRegistry) -> None:
    liar.on("GET", "/manifests/", lying.status(200, b"{}", Docker_Content_Digest=sha256(b"other")))
    async with client(liar.host) as registry:
        with pytest.raises(InvalidParameter, match="manifest verification failed for digest"):
            await registry.manifest(REPO, "latest")


@pytest.mark.parametrize("length", [None, -1])
async def test_huge_manifests(liar: LyingRegistry, length: int | None) -> None:
    body = b" " * (MANIFEST_LIMIT_BYTES + 1)
    liar.on("GET", "/manifests/", lambda exchange: exchange.reply(200, body, length=length))
    async with client(liar.host) as registry:
        with pytest.raises(TooLarge, match="the manifest of some/repo:latest is larger than"):
            await registry.manifest(REPO, "latest")


async def test_endless_manifests(liar: LyingRegistry) -> None:
    liar.on("GET", "/manifests/", lying.endless())
    async with client(liar.host) as registry:
        with pytest.raises(TooLarge):
            await registry.manifest(REPO, "latest")


@pytest.mark.parametrize(
    ("told", "body", "wanted"),
    [
        ("application/vnd.oci.image.index.v1+json; charset=utf-8", b"{}", oci.OCI_INDEX),
        ("", b'{"mediaType":"%s"}' % oci.DOCKER_LIST.encode(), oci.DOCKER_LIST),
        ("text/plain", b'{"schemaVersion":2,"manifests":[]}', oci.OCI_INDEX),
        ("application/json", b'{"schemaVersion":2,"config":{}}', oci.OCI_MANIFEST),
        ("application/json", b'{"schemaVersion":1}', "application/json"),
        ("text/html", b"<html>log in to the hotel's network</html>", "text/html"),
        ("", b'{"mediaType":5}', ""),
        ("", b"[" * 100_000, ""),
    ],
)
async def test_kinds_of_manifests(liar: LyingRegistry, told: str, body: bytes, wanted: str) -> None:
    liar.on("GET", "/manifests/", lying.status(200, body, Content_Type=told))
    async with client(liar.host) as registry:
        assert (await registry.manifest(REPO, "latest")).media_type == wanted


async def test_trouble_that_passes(liar: LyingRegistry) -> None:
    liar.on("GET", "/manifests/", lying.status(503), times=1)
    liar.on("GET", "/manifests/", lambda exchange: exchange.cut(), times=1)
    async with client(liar.host) as registry:
        await registry.ping()
        assert (await registry.manifest(REPO, "latest")).data


async def test_trouble_that_stays(liar: LyingRegistry) -> None:
    liar.on("GET", "/manifests/", lying.status(503))
    async with client(liar.host) as registry:
        with pytest.raises(RegistryError, match="503") as raised:
            await registry.manifest(REPO, "latest")
    assert raised.value.kind == "unavailable"
    assert len(liar.asked("GET", "/manifests/")) == 3


# Blobs


async def test_configs_are_verified(liar: LyingRegistry) -> None:
    data = b'{"os":"linux"}'
    config = Descriptor(digest=sha256(data), size=len(data))
    async with client(liar.host) as registry:
        liar.on("GET", "/blobs/", lying.other_bytes(data.replace(b"linux", b"plan9")))
        with pytest.raises(InvalidParameter, match="image config verification failed"):
            await registry.read_blob(REPO, config, limit_bytes=1000)
        liar.on("GET", "/blobs/", lying.other_bytes(data))
        assert await registry.read_blob(REPO, config, limit_bytes=1000) == data
        with pytest.raises(TooLarge):
            await registry.read_blob(REPO, config, limit_bytes=5)


async def test_existing_blobs(liar: LyingRegistry) -> None:
    async with client(liar.host) as registry:
        assert await registry.blob_exists(REPO, sha256(b"layer")) == 5
        assert await registry.blob_exists(REPO, sha256(b"other")) is None
        with pytest.raises(InvalidParameter):
            await registry.blob_exists(REPO, "sha256:../../../x")
        async with registry.blob(REPO, sha256(b"layer"), offset=2) as body:
            assert (body.offset, body.size_bytes) == (2, 5)
            assert b"".join([chunk async for chunk in body.chunks]) == b"yer"


async def test_mounts(liar: LyingRegistry) -> None:
    async def data(offset: int) -> AsyncIterator[bytes]:
        yield b"fresh"

    async with client(liar.host, push=True) as registry:
        assert await registry.mount("other", sha256(b"layer"), REPO)
        assert liar.requests[-1].query == {"mount": [sha256(b"layer")], "from": [REPO]}
        assert not await registry.mount("other", sha256(b"fresh"), REPO)
        # The registry began an upload instead, and that is the one that is used.
        await registry.upload("other", sha256(b"fresh"), 5, data)
    assert liar.blobs[sha256(b"fresh")] == b"fresh"
    assert len(liar.asked("POST", "/uploads/")) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 405])
async def test_mounts_that_are_refused(liar: LyingRegistry, status: int) -> None:
    liar.on("POST", "/uploads/", lying.status(status))
    async with client(liar.host, push=True) as registry:
        assert not await registry.mount("other", sha256(b"layer"), REPO)


async def test_storing_manifests(liar: LyingRegistry) -> None:
    data = b'{"schemaVersion": 2}'
    async with client(liar.host, push=True) as registry:
        assert await registry.put_manifest(REPO, "new", data, oci.OCI_MANIFEST) == sha256(data)
        assert liar.manifests[REPO, "new"] == (oci.OCI_MANIFEST, data)
        liar.on("PUT", "/manifests/", lying.status(201, Docker_Content_Digest=sha256(b"x")))
        with pytest.raises(InvalidParameter, match="the registry stored"):
            await registry.put_manifest(REPO, "new", data, oci.OCI_MANIFEST)


# Tags


def pages(*listed: list[str], link: str = '</v2/some/repo/tags/list?last={}>; rel="next"') -> Any:
    def lie(exchange: lying.Exchange) -> None:
        number = int(exchange.request_.query.get("last", ["0"])[0])
        headers = {"Content-Type": "application/json"}
        if number + 1 < len(listed):
            headers["Link"] = link.format(number + 1)
        exchange.reply(200, json.dumps({"tags": listed[number]}).encode(), headers)

    return lie


async def test_pages_of_tags(liar: LyingRegistry) -> None:
    liar.on("GET", "/tags/list", pages(["a", "b"], ["c"], ["d"]))
    async with client(liar.host) as registry:
        assert await registry.tags(REPO) == ["a", "b", "c", "d"]


async def test_pages_that_never_end(liar: LyingRegistry) -> None:
    liar.on("GET", "/tags/list", pages(["a"], ["a"], ["a"], ["b"]))
    async with client(liar.host) as registry:
        assert await registry.tags(REPO) == ["a"]
    assert len(liar.requests) < 5


async def test_pages_elsewhere_get_no_proof(liar: LyingRegistry) -> None:
    liar.on("*", "/v2/", lying.basic("anna", "secret"), times=1)
    with LyingRegistry() as thief:
        thief.on("GET", "/x", lying.other_bytes(b'{"tags":["c"]}'))
        liar.on("GET", "/tags/list", pages(["a"], ["b"], link=f"<{thief.url}/x>"), times=2)
        liar.on("GET", "/tags/list", lying.basic("anna", "secret"), times=1)
        async with client(liar.host, credentials=Credentials("anna", "secret")) as registry:
            assert await registry.tags(REPO) == ["a", "c"]
        assert [("authorization" in request.headers) for request in thief.requests] == [False]


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"tags":5}', b"[" * 100_000])
async def test_garbage_instead_of_tags(liar: LyingRegistry, body: bytes) -> None:
    liar.on("GET", "/tags/list", lying.other_bytes(body))
    async with client(liar.host) as registry:
        with pytest.raises(InvalidParameter, match="invalid list of tags"):
            await registry.tags(REPO)


async def test_a_repository_without_tags(liar: LyingRegistry) -> None:
    liar.on("GET", "/tags/list", lying.other_bytes(b'{"name":"x","tags":null}'))
    async with client(liar.host) as registry:
        assert await registry.tags(REPO) == []


# Which endpoint


async def test_plain_http_on_loopback(liar: LyingRegistry) -> None:
    async with client(liar.host) as registry:
        found = await registry.manifest(REPO, "latest")
        assert found.endpoint.url == f"http://{liar.host}"
        before = len(liar.requests)
        await registry.manifest(REPO, "latest")
        assert len(liar.requests) == before + 1


async def test_any_certificate_on_loopback_and_never_http_then(tmp_path: Path) -> None:
    """Who speaks HTTPS is not asked again without, whatever the answer."""
    with LyingRegistry(tls=Authority(tmp_path).issue("server")) as liar:
        async with client(liar.host) as registry:
            with pytest.raises(RegistryError, match="manifest unknown"):
                await registry.manifest(REPO, "latest")
            liar.add_image(REPO, "latest", [])
            assert (await registry.manifest(REPO, "latest")).endpoint.url == liar.url


async def test_no_http_for_a_secure_registry(liar: LyingRegistry) -> None:
    """Not even when HTTPS fails."""

    async def elsewhere(host: str) -> list[str]:
        return ["203.0.113.1"]

    host = f"localhost:{liar.port}"
    async with client(host, lookup=elsewhere) as registry:
        with pytest.raises(TransportError, match="server gave HTTP response to HTTPS client"):
            await registry.manifest(REPO, "latest")
    async with client(host, known=settings(insecure=[host]), lookup=elsewhere) as registry:
        assert (await registry.manifest(REPO, "latest")).endpoint.url == f"http://{host}"


async def test_own_authorities(tmp_path: Path) -> None:
    async def elsewhere(host: str) -> list[str]:
        return ["203.0.113.1"]

    authority = Authority(tmp_path / "authority")
    with LyingRegistry(tls=authority.issue("server")) as liar:
        host = f"localhost:{liar.port}"
        liar.add_image(REPO, "latest", [])
        async with client(host, lookup=elsewhere) as registry:
            with pytest.raises(TransportError) as raised:
                await registry.manifest(REPO, "latest")
        assert str(raised.value) == (
            f'Get "https://{host}/v2/": tls: failed to verify certificate: '
            "x509: certificate signed by unknown authority"
        )
        (tmp_path / "certs.d" / host).mkdir(parents=True)
        (tmp_path / "certs.d" / host / "ca.crt").write_bytes(authority.ca.read_bytes())
        certs = (tmp_path / "certs.d",)
        async with client(host, lookup=elsewhere, certs_dirs=certs) as registry:
            assert (await registry.manifest(REPO, "latest")).endpoint.secure


async def test_ipv6_literals() -> None:
    try:
        liar = LyingRegistry(address="::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with liar:
        liar.add_image(REPO, "latest", [])
        async with client(liar.host) as registry:
            assert (await registry.manifest(REPO, "latest")).endpoint.url == liar.url
            await registry.tags(REPO)


async def test_nobody_there() -> None:
    async with client("127.0.0.1:1") as registry:
        for ask in (registry.manifest(REPO, "latest"), registry.tags(REPO), registry.ping()):
            with pytest.raises(TransportError) as raised:
                await ask
            assert str(raised.value) == (
                'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
            )


# Mirrors


async def test_mirrors_come_first(liar: LyingRegistry) -> None:
    with LyingRegistry() as mirror:
        mirror.add_image(REPO, "latest", [b"of the mirror"])
        known = settings(mirrors_for={liar.host: [mirror.url]})
        async with client(liar.host, known=known) as registry:
            found = await registry.manifest(REPO, "latest")
            assert found.endpoint.mirror
            assert not liar.requests
        async with client(liar.host, known=known, push=True) as registry:
            assert not (await registry.manifest(REPO, "latest")).endpoint.mirror


@pytest.mark.parametrize(
    "lie",
    [
        lying.status(404),
        lying.status(401, WWW_Authenticate='Basic realm="mirror"'),
        lying.status(429, Retry_After="3600"),
        lying.status(500),
        lying.endless(),
        lying.status(200, b"{}", Docker_Content_Digest=sha256(b"other")),
        lambda exchange: exchange.cut(),
    ],
)
async def test_mirrors_that_are_no_help(liar: LyingRegistry, lie: lying.Lie) -> None:
    with LyingRegistry() as mirror:
        mirror.on("*", "/v2/", lie)
        known = settings(mirrors_for={liar.host: ["http://127.0.0.1:1", mirror.url]})
        credentials = Credentials("anna", "secret")
        async with client(liar.host, known=known, credentials=credentials) as registry:
            assert not (await registry.manifest(REPO, "latest")).endpoint.mirror
        assert all("authorization" not in request.headers for request in mirror.requests)


async def test_the_registrys_own_error_is_told(liar: LyingRegistry) -> None:
    with LyingRegistry() as mirror:
        mirror.on("*", "/v2/", lying.status(500))
        known = settings(mirrors_for={liar.host: [mirror.url]})
        async with client(liar.host, known=known) as registry:
            with pytest.raises(RegistryError, match="manifest unknown"):
                await registry.manifest(REPO, "nix")


# Logins


async def test_logins(liar: LyingRegistry) -> None:
    liar.on("*", "/v2/", lying.basic("anna", "secret"))
    async with client(liar.host, credentials=Credentials("anna", "secret")) as registry:
        assert await registry.login() == ""
    async with client(liar.host, credentials=Credentials("anna", "wrong")) as registry:
        with pytest.raises(RegistryError) as raised:
            await registry.login()
    assert str(raised.value) == (
        f"login attempt to {liar.url}/v2/ failed with status: 401 Unauthorized"
    )
    assert raised.value.kind == "unauthorized"


async def test_a_login_gives_an_identity_token(liar: LyingRegistry) -> None:
    liar.on("*", "/v2/", lying.bearer(f"{liar.url}/token", lambda token: token == "t"))
    liar.on("GET", "/token", lying.other_bytes(b'{"token":"t","refresh_token":"r"}'))
    async with client(liar.host, credentials=Credentials("anna", "secret")) as registry:
        assert await registry.login() == "r"


async def test_a_login_refused_by_the_token_server(liar: LyingRegistry) -> None:
    liar.on("*", "/v2/", lying.bearer(f"{liar.url}/token", lambda token: True))
    liar.on(
        "GET",
        "/token",
        lambda exchange: exchange.error(401, "UNAUTHORIZED", "incorrect username or password"),
    )
    async with client(liar.host, credentials=Credentials("anna", "secret")) as registry:
        with pytest.raises(RegistryError) as raised:
            await registry.login()
    assert str(raised.value) == (
        f'Get "{liar.url}/v2/": unauthorized: incorrect username or password'
    )
    assert raised.value.kind == "unauthorized"
