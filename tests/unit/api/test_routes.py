"""The table against the published OpenAPI file, and against itself."""

from __future__ import annotations

from pathlib import Path

import yaml

from pierhead.api.route import RouteTable
from pierhead.api.routes import ROUTES

# Ours, or older than the file, or a spelling Docker also takes.
EXTRA = {
    ("POST", "/pierhead/images/bootstrap"),
    ("GET", "/pierhead/images/{name}/explore"),
    ("GET", "/pierhead/images/diff"),
    ("GET", "/pierhead/images/tree"),
    ("POST", "/pierhead/images/verify"),
    ("POST", "/pierhead/build"),
    ("GET", "/pierhead/build/debug"),
    ("POST", "/pierhead/build/debug/{id}"),
    ("DELETE", "/pierhead/build/debug/{id}"),
    ("GET", "/pierhead/build/history"),
    ("DELETE", "/pierhead/build/history"),
    ("GET", "/pierhead/build/history/{ref}"),
    ("DELETE", "/pierhead/build/history/{ref}"),
    ("GET", "/pierhead/build/history/{ref}/logs"),
    ("GET", "/pierhead/build/mounts"),
    ("GET", "/pierhead/build/mounts/{id}"),
    ("DELETE", "/pierhead/build/mounts/{id}"),
    ("GET", "/networks/"),
    ("POST", "/build/cancel"),
    ("POST", "/grpc"),
}


def shape(path: str) -> str:
    """The path with its parameter's name left out."""
    head, brace, tail = path.partition("{")
    return head + "{}" + tail.partition("}")[2] if brace else path


def published(shared: Path) -> set[tuple[str, str]]:
    source = (shared / "reference" / "engine-api-1.56.yaml").read_text()
    document = yaml.load(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {
        (method.upper(), shape(path))
        for path, methods in document["paths"].items()
        for method in methods
    }


def test_every_published_endpoint_has_a_row_and_no_row_is_made_up(shared: Path) -> None:
    want = published(shared)
    have = {(route.method, shape(route.path)) for route in ROUTES}
    assert want - have == set()
    assert have - want == {(method, shape(path)) for method, path in EXTRA}


def test_rows_are_unique() -> None:
    seen = [(route.method, shape(route.path), route.since) for route in ROUTES]
    assert len(seen) == len(set(seen))


def test_every_row_finds_itself() -> None:
    table = RouteTable(ROUTES)
    for route in ROUTES:
        path = shape(route.path).replace("{}", "some/na-me")
        found = table.find(route.method, path, route.until)
        assert found is not None, path
        assert found[0] is route, path
        assert found[1] == ("some/na-me" if "{" in route.path else "")
