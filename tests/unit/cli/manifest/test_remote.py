from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.manifest.record import DOCKER_LIST, named
from pierhead.cli.manifest.remote import Remote
from support.fake_cli import FakeCli, FakeClient
from support.lying import LyingRegistry


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as liar:
        yield liar


def remote(liar: LyingRegistry, config: dict[str, Any] | None = None) -> Remote:
    cli = FakeCli("manifest", FakeClient({}, "1.56"), config or {}, "/nonexistent")
    return Remote(cli, liar.host, insecure=False)  # type: ignore[arg-type]


def test_the_platform_is_the_configs(liar: LyingRegistry) -> None:
    digest = liar.add_image("app", "1", [b"layer"])
    ref = named(f"{liar.host}/app:1")
    for record in (remote(liar).manifest(ref), remote(liar).manifest_or_list(ref)):
        assert not isinstance(record, list)
        assert record.digest == digest and record.ref == str(ref)
        assert record.platform == {"architecture": "amd64", "os": "linux"}


def test_a_lists_platforms_count_more_than_the_configs(liar: LyingRegistry) -> None:
    digest = liar.add_image("app", "1", [b"layer"])
    entry = {"digest": digest, "size": 1, "platform": {"architecture": "vax", "os": "vms"}}
    liar.add_manifest("app", "all", json.dumps({"manifests": [entry]}).encode(), DOCKER_LIST)
    ref = named(f"{liar.host}/app:all")
    records = remote(liar).manifest_or_list(ref)
    assert isinstance(records, list)
    assert [record.platform for record in records] == [{"architecture": "vax", "os": "vms"}]
    assert records[0].ref == f"{liar.host}/app:all@{digest}"
    with pytest.raises(CliError, match="is a manifest list"):
        remote(liar).manifest(ref)


def test_what_may_not_be_seen_is_not_there(liar: LyingRegistry) -> None:
    ref = named(f"{liar.host}/app:1")
    with pytest.raises(CliError, match=r"^no such manifest: "):
        remote(liar).manifest(ref)
    liar.on("*", "/v2/app", lambda exchange: exchange.error(403, "DENIED", "not for you"))
    with pytest.raises(CliError, match="denied: not for you"):
        remote(liar).manifest(ref)


def test_credentials_come_from_the_configuration(liar: LyingRegistry) -> None:
    liar.add_image("app", "1", [b"layer"])

    def guarded(exchange: Any) -> bool:
        if exchange.headers.get("Authorization") == "Basic YWxpY2U6c2VjcmV0":
            return False
        exchange.error(401, "UNAUTHORIZED", "who?", WWW_Authenticate='Basic realm="r"')
        return True

    liar.on("*", "/v2/", guarded)
    ref = named(f"{liar.host}/app:1")
    with pytest.raises(CliError):
        remote(liar).manifest(ref)
    config = {"auths": {liar.host: {"auth": "YWxpY2U6c2VjcmV0"}}}
    assert remote(liar, config).manifest(ref).ref == str(ref)


def test_no_registry_at_all() -> None:
    with LyingRegistry() as gone:
        host = gone.host
    cli = FakeCli("manifest", FakeClient({}, "1.56"), {}, "/nonexistent")
    with pytest.raises(CliError, match="connection refused"):
        Remote(cli, host, insecure=False).manifest(named(f"{host}/app:1"))  # type: ignore[arg-type]
