"""The registry client against Debian's docker-registry, nginx and skopeo."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.http import Limits
from pierhead.distribution.registry import Registry
from pierhead.distribution.transfer import file_source
from pierhead.errors import PierError
from pierhead.oci import manifest as oci
from pierhead.oci.digest import Digest, sha256
from support.certificates import Authority
from support.registries import DockerRegistry, cutting, need, nginx, registry, settings
from support.tokens import TokenServer

REPO = "some/repo"
ANNA = Credentials("anna", "secret")
DATA = random.Random(3).randbytes(6_000_000)
DIGEST = sha256(DATA)
CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [DIGEST]}}
).encode()
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": oci.OCI_MANIFEST,
        "config": {"mediaType": oci.OCI_CONFIG, "digest": sha256(CONFIG), "size": len(CONFIG)},
        "layers": [{"mediaType": oci.OCI_LAYER, "digest": DIGEST, "size": len(DATA)}],
    }
).encode()


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blob") / "blob"
    path.write_bytes(DATA)
    return path


def client(host: str, credentials: Credentials | None = None, **options: Any) -> Registry:
    options.setdefault("certs_dirs", ())
    options.setdefault("limits", Limits(pauses_s=(0.05, 0.1)))
    return Registry(host, options.pop("known", settings()), credentials=credentials, **options)


async def push(
    host: str, blob: Path, credentials: Credentials | None = None, **options: Any
) -> None:
    async with client(host, credentials, push=True, **options) as registry:
        if await registry.blob_exists(REPO, DIGEST) is None:
            await registry.upload(REPO, DIGEST, len(DATA), file_source(blob))

        async def config(offset: int) -> Any:
            yield CONFIG[offset:]

        await registry.upload(REPO, sha256(CONFIG), len(CONFIG), config)
        assert await registry.put_manifest(REPO, "latest", MANIFEST, oci.OCI_MANIFEST)


async def pull(host: str, credentials: Credentials | None = None, **options: Any) -> bytes:
    """The layer, by way of the manifest; verified."""
    data = bytearray()

    async def write(chunk: bytes) -> None:
        data.extend(chunk)

    async with client(host, credentials, **options) as registry:
        found = await registry.manifest(REPO, "latest")
        assert found.data == MANIFEST
        document = oci.decode_manifest(found.data)
        assert isinstance(document, oci.Manifest)
        assert await registry.read_blob(REPO, document.config, limit_bytes=1 << 20) == CONFIG
        await registry.download(REPO, document.layers[0], write)
    assert sha256(bytes(data)) == DIGEST
    return bytes(data)


async def test_everything_there_and_back(tmp_path: Path, blob: Path) -> None:
    with registry(tmp_path) as real:
        await push(real.host, blob)
        await pull(real.host)
        async with client(real.host, push=True) as made:
            assert await made.tags(REPO) == ["latest"]
            assert await made.blob_exists(REPO, DIGEST) == len(DATA)
            assert await made.mount("other", DIGEST, REPO)
            assert not await made.mount("other", sha256(b"x"), REPO)
            head = await made.head_manifest(REPO, "latest")
            assert head is not None
            assert head.digest == sha256(MANIFEST)
            with pytest.raises(RegistryError, match="manifest unknown: manifest unknown"):
                await made.manifest(REPO, "nix")
            with pytest.raises(RegistryError, match="name unknown"):
                await made.tags("no/such")
            with pytest.raises(RegistryError, match="digest invalid"):
                await made.upload(REPO, Digest(sha256(b"other")), len(DATA), file_source(blob))


async def test_skopeo_reads_what_we_sent(tmp_path: Path, blob: Path) -> None:
    need("skopeo")
    with registry(tmp_path / "registry") as real:
        await push(real.host, blob)
        done = subprocess.run(
            ["skopeo", "copy", "--src-tls-verify=false", "--preserve-digests",
             f"docker://{real.host}/{REPO}:latest", f"dir:{tmp_path}/copy"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy/manifest.json").read_bytes() == MANIFEST


async def test_passwords(tmp_path: Path, blob: Path) -> None:
    with registry(tmp_path, htpasswd={"anna": "secret"}) as real:
        await push(real.host, blob, ANNA)
        await pull(real.host, ANNA)
        async with client(real.host, ANNA) as made:
            assert await made.login() == ""
        with pytest.raises(RegistryError, match="no basic auth credentials"):
            await pull(real.host)
        with pytest.raises(RegistryError, match="unauthorized: authentication required"):
            await pull(real.host, Credentials("anna", "wrong"))
        async with client(real.host, Credentials("anna", "wrong")) as made:
            with pytest.raises(RegistryError, match="failed with status: 401 Unauthorized"):
                await made.login()


async def test_a_token_server(tmp_path: Path, blob: Path) -> None:
    with (
        TokenServer(tmp_path / "tokens", {"anna": "secret"}) as tokens,
        registry(tmp_path / "registry", token=tokens) as real,
    ):
        await push(real.host, blob, ANNA)
        await pull(real.host, ANNA)
        asked = tokens.requests[-1][1]
        assert asked["scope"] == [f"repository:{REPO}:pull"]
        assert asked["service"] == [tokens.service]
        with pytest.raises(RegistryError) as raised:
            await pull(real.host)
        assert raised.value.code == "DENIED"
        with pytest.raises(RegistryError, match="unauthorized: incorrect username or password"):
            await pull(real.host, Credentials("anna", "wrong"))
        async with client(real.host, ANNA) as made:
            identity = await made.login()
        assert identity in tokens.refresh
        await pull(real.host, Credentials(identity_token=identity))
        tokens.public = (REPO,)
        await pull(real.host)
        async with client(real.host, ANNA, push=True) as made:
            assert await made.mount("other", DIGEST, REPO)
        assert tokens.requests[-1][1]["scope"] == [
            "repository:other:pull,push",
            f"repository:{REPO}:pull",
        ]


async def test_tokens_that_expire_half_way(tmp_path: Path, blob: Path) -> None:
    """What was good for the manifest isn't for the layer any more."""
    with (
        TokenServer(tmp_path / "tokens", {"anna": "secret"}, life_s=300) as tokens,
        registry(tmp_path / "registry", token=tokens) as real,
    ):
        await push(real.host, blob, ANNA)
        async with client(real.host, ANNA) as made:
            await made.manifest(REPO, "latest")
            # As if it had expired: docker-registry allows a minute's grace, long for a test.
            before = len(tokens.requests)
            held = next(iter(made._connections[-1].authorizer._tokens))
            made._connections[-1].authorizer._tokens[held] = ("worthless", 1e12)
            assert await made.blob_exists(REPO, DIGEST) == len(DATA)
            assert len(tokens.requests) == before + 1


@pytest.mark.parametrize("seed", range(3))
async def test_lines_that_break(tmp_path: Path, blob: Path, seed: int) -> None:
    with registry(tmp_path) as real:
        await push(real.host, blob)
        with cutting(real.host, seed=seed, most=2_000_000, budget=8) as line:
            await pull(line.host, attempts=20)
            assert line.cuts >= 3
        # docker-registry gives an upload up when its line breaks: from the start, then.
        other = sha256(DATA[:-1])
        (tmp_path / "other").write_bytes(DATA[:-1])
        options = {"seed": seed, "least": 100_000, "most": 4_000_000, "budget": 2}
        with cutting(real.host, both_ways=True, **options) as line:
            async with client(line.host, push=True, attempts=10) as made:
                await made.upload(REPO, other, len(DATA) - 1, file_source(tmp_path / "other"))
                assert await made.blob_exists(REPO, other) == len(DATA) - 1


async def elsewhere(host: str) -> list[str]:
    """Makes ``localhost`` a host like any other, which has to prove who it is."""
    return ["203.0.113.1"]


async def test_certificates(tmp_path: Path, blob: Path) -> None:
    authority = Authority(tmp_path / "authority")
    with registry(tmp_path / "registry", tls=authority, client_ca=authority.ca) as real:
        host = f"localhost:{real.port}"
        folder = tmp_path / "certs.d" / host
        folder.mkdir(parents=True)
        options: dict[str, Any] = {"certs_dirs": (tmp_path / "certs.d",), "lookup": elsewhere}
        with pytest.raises(PierError, match="x509: certificate signed by unknown authority"):
            await pull(host, **options)
        (folder / "ca.crt").write_bytes(authority.ca.read_bytes())
        with pytest.raises(
            PierError, match=r"remote error: tls: (bad certificate|certificate required)"
        ):
            await pull(host, **options)
        certificate, key = authority.issue("anna", client=True)
        (folder / "anna.cert").write_bytes(certificate.read_bytes())
        (folder / "anna.key").write_bytes(key.read_bytes())
        await push(host, blob, **options)
        await pull(host, **options)


async def test_behind_an_nginx_with_tls(tmp_path: Path, blob: Path) -> None:
    """The registry doesn't know that it is behind TLS, and says http:// where to go on."""
    authority = Authority(tmp_path / "authority")
    with (
        registry(tmp_path / "registry") as real,
        nginx(tmp_path / "nginx", real.url, tls=authority) as host,
    ):
        named = f"localhost:{host.rpartition(':')[2]}"
        folder = tmp_path / "certs.d" / named
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(authority.ca.read_bytes())
        options: dict[str, Any] = {"certs_dirs": (tmp_path / "certs.d",), "lookup": elsewhere}
        await push(named, blob, **options)
        await pull(named, **options)


async def test_an_nginx_that_allows_less(tmp_path: Path, blob: Path) -> None:
    with (
        registry(tmp_path / "registry") as real,
        nginx(tmp_path / "nginx", real.url, extra="client_max_body_size 1m;") as host,
    ):
        with pytest.raises(PierError, match=r"413|broken pipe|reset"):
            await push(host, blob, attempts=2)


def mirror_of(real: DockerRegistry, folder: Path) -> Any:
    return registry(folder, proxy=real.url)


async def test_a_pull_through_mirror(tmp_path: Path, blob: Path) -> None:
    """For a registry that isn't Hub; the registry itself serves what the mirror can't."""
    with registry(tmp_path / "registry") as real:
        await push(real.host, blob)
        with mirror_of(real, tmp_path / "mirror") as mirror:
            known = settings(mirrors_for={real.host: [mirror.url]})
            for _ in range(2):
                await pull(real.host, known=known, user_agent="the-puller")
            assert DIGEST in mirror.log
            assert "the-puller" in mirror.log
            assert "the-puller" not in real.log
        await pull(real.host, known=known)
