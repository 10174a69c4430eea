"""Which addresses are tried for a registry, and what they have to prove."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pierhead.distribution.endpoints import (
    Endpoint,
    endpoints,
    split_host_port,
    validate_insecure,
    validate_mirror,
)
from pierhead.errors import InvalidParameter
from support.registries import settings

HUB = Endpoint("https://registry-1.docker.io", "registry-1.docker.io", official=True)


async def names(host: str) -> Sequence[str]:
    return {
        "localhost": ["127.0.0.1", "::1"],
        "lan.example": ["10.1.2.3"],
        "both.example": ["203.0.113.9", "127.0.0.1"],
        "mapped.example": ["::ffff:127.0.0.1"],
    }.get(host, ())


async def found(domain: str, *, push: bool = False, **options: object) -> list[tuple[str, bool]]:
    listed = await endpoints(domain, settings(**options), push=push, lookup=names)  # type: ignore[arg-type]
    return [(entry.url, entry.verify) for entry in listed]


@pytest.mark.parametrize("domain", ["docker.io", "index.docker.io"])
async def test_hub(domain: str) -> None:
    assert await endpoints(domain, settings(insecure=["docker.io"]), lookup=names) == [HUB]


async def test_hub_with_mirrors() -> None:
    wanted = settings(
        mirrors=["https://a.example/", "http://127.0.0.1:5000", "https://a.example"],
        mirrors_for={"docker.io": ["https://b.example:8443/hub/"]},
    )
    listed = await endpoints("docker.io", wanted, lookup=names)
    assert [(entry.url, entry.mirror, entry.verify) for entry in listed[:-1]] == [
        ("https://a.example", True, True),
        ("http://127.0.0.1:5000", True, False),
        ("https://b.example:8443/hub", True, True),
    ]
    assert listed[2].host == "b.example:8443"
    assert listed[-1] == HUB
    assert await endpoints("docker.io", wanted, push=True, lookup=names) == [HUB]


async def test_mirrors_of_other_registries() -> None:
    mirrors_for = {"ghcr.example": ["https://cache.example"]}
    assert await found(
        "ghcr.example", mirrors_for=mirrors_for, mirrors=["https://hub.example"]
    ) == [
        ("https://cache.example", True),
        ("https://ghcr.example", True),
    ]
    assert await found("other.example", mirrors_for=mirrors_for) == [
        ("https://other.example", True)
    ]


@pytest.mark.parametrize(
    "domain",
    ["127.0.0.1", "127.0.0.1:5000", "127.1.2.3", "localhost:5000", "[::1]:5000", "mapped.example"],
)
async def test_loopback_is_insecure(domain: str) -> None:
    assert await found(domain) == [(f"https://{domain}", False), (f"http://{domain}", False)]


@pytest.mark.parametrize(
    ("domain", "insecure", "plain"),
    [
        ("a.example:5000", ["a.example:5000"], True),
        ("a.example", ["a.example:5000"], False),
        ("a.example:5000", ["a.example"], False),
        ("10.1.2.3:80", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("lan.example", ["10.0.0.0/8"], True),
        ("lan.example", [], False),
        ("unknown.example", ["10.0.0.0/8"], False),
        ("[fd00::5]:5000", ["fd00::/8"], True),
        ("a.example:5000", ["http://a.example:5000"], True),
    ],
)
async def test_insecure_by_name_or_network(domain: str, insecure: list[str], plain: bool) -> None:
    wanted = [(f"https://{domain}", not plain)] + ([(f"http://{domain}", False)] if plain else [])
    assert await found(domain, insecure=insecure) == wanted


async def test_a_name_is_insecure_at_its_insecure_addresses_only() -> None:
    """Who answers the DNS must not get rid of TLS by naming 127.0.0.1 as well."""
    listed = await endpoints("both.example", settings(), lookup=names)
    assert {entry.addresses for entry in listed} == {("127.0.0.1",)}
    (only,) = await endpoints("lan.example", settings(), lookup=names)
    assert only.addresses == ()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("a.example", "no scheme specified"),
        ("://a.example", "no scheme specified"),
        ("ftp://a.example", 'unsupported scheme "ftp"'),
        ("https://a.example?x=1", "query or fragment"),
        ("https://a.example/#x", "query or fragment"),
        (
            "https://anna:secret@a.example",
            r"username/password not allowed in URI \"https://anna:xxxxx@",
        ),
        ("https://a.example:port", "is not a valid URI"),
        ("https:///path", "is not a valid URI"),
    ],
)
def test_bad_mirrors(url: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words) as raised:
        validate_mirror(url)
    assert "secret" not in str(raised.value)


def test_mirrors_are_normalised() -> None:
    assert validate_mirror("https://a.example:5000") == "https://a.example:5000/"
    assert validate_mirror("http://[::1]:5000/x/") == "http://[::1]:5000/x/"


@pytest.mark.parametrize(
    "text", ["ftp://a.example", "-a.example", "a.example-", "a b", "a.example:99999", ""]
)
def test_bad_insecure_registries(text: str) -> None:
    with pytest.raises(InvalidParameter):
        validate_insecure(text)


@pytest.mark.parametrize(
    "text", ["a.example", "a.example:5000", "localhost", "10.0.0.0/8", "[::1]:5000", "::1"]
)
def test_good_insecure_registries(text: str) -> None:
    assert str(validate_insecure(text)) == text


def test_host_and_port() -> None:
    assert split_host_port("a.example:5000") == ("a.example", "5000")
    assert split_host_port("[::1]:5000") == ("::1", "5000")
    assert split_host_port("[::1]") == ("::1", "")
    assert split_host_port("fd00::1") == ("fd00::1", "")
