"""Explore, diff and tree at the edge."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from pierhead.engine.images import difference, explore
from pierhead.errors import NotFound
from support.api import fake_engine, serving


class Reports:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def explore(
        self, ref: str, wanted: explore.Wanted, platform: str | None
    ) -> AsyncGenerator[bytes, None]:
        if ref == "missing":
            raise NotFound("No such image: missing:latest")
        self.calls.append((ref, wanted, platform))
        return self._document()

    def difference(
        self, a: str, b: str, wanted: difference.Wanted, platforms: Any
    ) -> AsyncGenerator[bytes, None]:
        self.calls.append((a, b, wanted, platforms))
        return self._document()

    async def _document(self) -> AsyncGenerator[bytes, None]:
        yield b'{"Id":'
        yield b"1}\n"

    def ancestry(self) -> list[Any]:
        return [{"ChainId": "1"}]


async def test_explore(tmp_path: Path) -> None:
    reports = Reports()
    async with serving(fake_engine(tmp_path, reports=reports), tmp_path) as call:
        answer = await call("GET", "/pierhead/images/a.example/x:1/explore")
        assert (answer.status, answer.json()) == (200, {"Id": 1})
        query = "files=1&tree=1&layer=2&path=/etc&depth=3&limit=0&platform=linux/arm64"
        await call("GET", f"/v1.48/pierhead/images/x/explore?{query}")
        answer = await call("GET", "/pierhead/images/missing/explore")
        assert (answer.status, answer.message) == (404, "No such image: missing:latest")
        answer = await call("GET", "/pierhead/images/x/explore?layer=top")
        assert answer.status == 400
    assert reports.calls == [
        ("a.example/x:1", explore.Wanted(), None),
        (
            "x",
            explore.Wanted(files=True, tree=True, layer=2, path="/etc", depth=3, limit=0),
            "linux/arm64",
        ),
    ]


async def test_diff(tmp_path: Path) -> None:
    reports = Reports()
    async with serving(fake_engine(tmp_path, reports=reports), tmp_path) as call:
        answer = await call("GET", "/pierhead/images/diff?a=x&b=y&platform=arm64&platform-b=amd64")
        assert answer.json() == {"Id": 1}
        query = "files=0&packages=0&times=1&content=0&path=/etc"
        await call("GET", f"/pierhead/images/diff?a=x&b=y&{query}")
        assert (await call("GET", "/pierhead/images/diff?a=x")).status == 400
    assert reports.calls == [
        ("x", "y", difference.Wanted(), ("arm64", "amd64")),
        (
            "x",
            "y",
            difference.Wanted(files=False, packages=False, times=True, content=False, path="/etc"),
            (None, None),
        ),
    ]


async def test_tree(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, reports=Reports()), tmp_path) as call:
        assert (await call("GET", "/pierhead/images/tree")).json() == [{"ChainId": "1"}]
