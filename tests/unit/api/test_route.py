"""Finding rows."""

from __future__ import annotations

from typing import Any

from pierhead.api.route import Route, RouteTable


async def handler(call: Any) -> Any:
    raise AssertionError


TABLE = RouteTable(
    [
        Route("GET", "/images/json", handler),
        Route("GET", "/images/{name}/json", handler),
        Route("GET", "/images/{name}", handler, since=30, until=40),
        Route("GET", "/containers/{id}/attach/ws", handler),
    ]
)


def found(path: str, minor: int = 56, method: str = "GET") -> tuple[str, str] | None:
    hit = TABLE.find(method, path, minor)
    return None if hit is None else (hit[0].path, hit[1])


def test_fixed_before_open() -> None:
    assert found("/images/json") == ("/images/json", "")


def test_a_name_may_have_slashes() -> None:
    assert found("/images/a.b:5000/c/d:1/json") == ("/images/{name}/json", "a.b:5000/c/d:1")
    assert found("/containers/x/attach/ws") == ("/containers/{id}/attach/ws", "x")


def test_versions_bound_rows() -> None:
    assert found("/images/x", 30) == ("/images/{name}", "x")
    assert found("/images/x", 29) is None
    assert found("/images/x", 41) is None


def test_nothing_fits() -> None:
    for path in ("", "/", "/images", "/images/", "/images//json", "/other/x/json"):
        assert found(path, 24) is None
    assert found("/images/json", method="POST") is None
