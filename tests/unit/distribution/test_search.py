"""docker search, against registries that have it and others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.credentials import Credentials
from pierhead.distribution.http import Limits
from pierhead.distribution.search import search, split_term
from pierhead.errors import InvalidParameter, PierError
from support import lying
from support.lying import LyingRegistry
from support.registries import settings


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        yield registry


async def ask(term: str, **options: Any) -> list[dict[str, Any]]:
    limits = Limits(stall_s=5, small_s=5, pauses_s=(0.01,))
    return await search(term, settings(), certs_dirs=(), limits=limits, **options)


async def test_results(liar: LyingRegistry) -> None:
    found = [{"name": "a/busybox", "star_count": 3, "is_official": False}]
    liar.on("GET", "/v1/search", lying.other_bytes(json.dumps({"results": found}).encode()))
    assert await ask(f"{liar.host}/busy box&", limit=7) == found
    assert liar.requests[0].query == {"q": ["busy box&"], "n": ["7"]}
    assert await ask(f"{liar.host}/x", limit=0) == found
    assert liar.requests[-1].query["n"] == ["25"]


@pytest.mark.parametrize("limit", [-1, 101])
async def test_limits(limit: int) -> None:
    with pytest.raises(InvalidParameter, match=r"is outside the range of \[1, 100\]"):
        await ask("busybox", limit=limit)


async def test_no_schemes() -> None:
    with pytest.raises(InvalidParameter, match="should not have a scheme"):
        await ask("https://a.example/x")


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        ("busybox", ("docker.io", "busybox")),
        ("library/busybox", ("docker.io", "library/busybox")),
        ("localhost/x", ("localhost", "x")),
        ("a.example/x/y", ("a.example", "x/y")),
        ("a:5000/x", ("a:5000", "x")),
        ("index.docker.io/x", ("docker.io", "x")),
    ],
)
def test_terms(term: str, wanted: tuple[str, str]) -> None:
    assert split_term(term) == wanted


async def test_registries_without_a_search(liar: LyingRegistry) -> None:
    with pytest.raises(RegistryError, match="unexpected status code 404"):
        await ask(f"{liar.host}/x")


async def test_with_a_password(liar: LyingRegistry) -> None:
    liar.on("GET", "/v1/search", lying.other_bytes(b'{"results":[]}'))
    liar.on("GET", "/v1/search", lying.basic("anna", "secret"))
    liar.on("GET", "/v1/search", lambda exchange: False, times=0)
    with pytest.raises(RegistryError, match="no basic auth credentials"):
        await ask(f"{liar.host}/x")


async def test_the_password_is_shown_when_asked_for(liar: LyingRegistry) -> None:
    liar.on("GET", "/v1/search", lying.other_bytes(b'{"results":[]}'))
    liar.on("GET", "/v1/search", lying.basic("anna", "secret"), times=1)
    assert await ask(f"{liar.host}/x", credentials=Credentials("anna", "secret")) == []
    assert "authorization" in liar.requests[-1].headers


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"results":5}'])
async def test_garbage(liar: LyingRegistry, body: bytes) -> None:
    liar.on("GET", "/v1/search", lying.other_bytes(body))
    with pytest.raises(InvalidParameter, match="invalid search result"):
        await ask(f"{liar.host}/x")


async def test_odd_entries_are_left_out(liar: LyingRegistry) -> None:
    liar.on("GET", "/v1/search", lying.other_bytes(b'{"results":[1,{"name":"a"},null]}'))
    assert await ask(f"{liar.host}/x") == [{"name": "a"}]


async def test_endless_results(liar: LyingRegistry) -> None:
    liar.on("GET", "/v1/search", lying.endless())
    with pytest.raises(PierError, match="larger than"):
        await ask(f"{liar.host}/x")


async def test_nobody_there() -> None:
    with pytest.raises(InvalidParameter, match=r"invalid registry endpoint .*connection refused"):
        await ask("127.0.0.1:1/x")
