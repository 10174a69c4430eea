"""Archive, export, changes at the edge."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pierhead.errors import NotFound
from support.api import fake_engine, serving

STAT = {"name": "etc", "size": 4, "mode": 2147484141, "mtime": "2020-01-01T00:00:00Z"}


class Files:
    def __init__(self) -> None:
        self.got = b""
        self.options: dict[str, Any] = {}

    async def stat(self, container: Any, path: str, *, ref: str) -> dict[str, Any]:
        if path == "/missing":
            raise NotFound("Could not find the file /missing in container x")
        return STAT

    async def archive(self, container: Any, path: str, *, ref: str) -> tuple[dict[str, Any], Any]:
        return STAT, self.tar()

    async def tar(self) -> AsyncIterator[bytes]:
        yield b"t" * 100_000
        yield b"ar"

    async def export(self, container: Any) -> AsyncIterator[bytes]:
        return self.tar()

    async def extract(
        self, container: Any, path: str, chunks: AsyncIterator[bytes], **options: Any
    ) -> None:
        self.options = options
        async for chunk in chunks:
            self.got += chunk

    async def changes(self, container: Any) -> list[dict[str, Any]]:
        return []


async def test_files(tmp_path: Path) -> None:
    files = Files()
    containers = SimpleNamespace(get=lambda ref: SimpleNamespace(id=ref))
    engine = fake_engine(tmp_path, files=files, containers=containers)
    async with serving(engine, tmp_path) as ask:
        head = await ask("HEAD", "/containers/x/archive?path=/etc")
        header = head.headers["x-docker-container-path-stat"]
        assert json.loads(base64.b64decode(header)) == STAT
        assert (await ask("HEAD", "/containers/x/archive?path=/missing")).status == 404
        assert (await ask("GET", "/containers/x/archive")).status == 400
        tar = await ask("GET", "/containers/x/archive?path=/etc")
        assert (tar.headers["content-type"], len(tar.body)) == ("application/x-tar", 100_002)
        export = await ask("GET", "/containers/x/export")
        assert export.headers["content-type"] == "application/octet-stream"
        put = await ask(
            "PUT", "/containers/x/archive?path=/&noOverwriteDirNonDir=true", b"data" * 50_000
        )
        assert put.status == 200 and len(files.got) == 200_000
        assert files.options == {
            "no_overwrite_dir_non_dir": True,
            "copy_uid_gid": False,
            "ref": "x",
        }
        assert (await ask("GET", "/containers/x/changes")).body == b"null\n"
