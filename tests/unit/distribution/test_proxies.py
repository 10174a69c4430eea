"""Proxies from the environment, by the rules of Go's httpproxy."""

from __future__ import annotations

import pytest

from pierhead.distribution.proxies import proxy_for
from pierhead.errors import InvalidParameter

BOTH = {"HTTP_PROXY": "http://plain:1", "HTTPS_PROXY": "http://user:pw@tls:2"}


def test_by_scheme() -> None:
    assert proxy_for("http://a.example/v2/", BOTH) == "http://plain:1"
    assert proxy_for("https://a.example/v2/", BOTH) == "http://user:pw@tls:2"
    assert proxy_for("https://a.example/v2/", {}) is None
    assert proxy_for("https://a.example/", {"https_proxy": "proxy:3"}) == "http://proxy:3"
    assert proxy_for(
        "https://a.example/", {"HTTPS_PROXY": "http://a", "https_proxy": "http://b"}
    ) == ("http://a")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"]
)
def test_loopback_never(host: str) -> None:
    assert proxy_for(f"http://{host}/v2/", BOTH) is None


@pytest.mark.parametrize(
    ("exceptions", "host", "excepted"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("a.example", "b.a.example", True),
        ("a.example", "ba.example", False),
        (".a.example", "a.example", False),
        (".a.example", "b.a.example", True),
        ("*.a.example", "b.a.example", True),
        ("x, A.Example ,y", "a.example", True),
        ("a.example:5000", "a.example:5000", True),
        ("a.example:5000", "a.example:5001", False),
        ("a.example:443", "a.example", True),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "a10.example", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:5000", "10.1.2.3", False),
        ("fd00::/8", "[fd00::1]:5000", True),
        ("[fd00::1]:5000", "[fd00::1]:5000", True),
        ("fd00::1", "[fd00::1]", True),
        ("10.0.0.0/99,,", "10.0.0.1", False),
    ],
)
def test_exceptions(exceptions: str, host: str, excepted: bool) -> None:
    found = proxy_for(f"https://{host}/v2/", {**BOTH, "NO_PROXY": exceptions})
    assert (found is None) == excepted


def test_a_clients_proxy_header_is_no_setting() -> None:
    assert proxy_for("http://a.example/", {**BOTH, "REQUEST_METHOD": "GET"}) is None


def test_other_kinds_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="HTTPS_PROXY: a proxy of the kind 'socks5'"):
        proxy_for("https://a.example/", {"HTTPS_PROXY": "socks5://proxy:1080"})
