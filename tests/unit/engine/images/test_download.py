from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from pierhead.engine.images.download import download
from pierhead.errors import InvalidParameter, Unavailable

from .conftest import World


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def tar(request: web.Request) -> web.Response:
        return web.Response(body=b"tar" * 100_000)

    app = web.Application()
    app.router.add_get("/tar", tar)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_url_is_imported(world: World, server: str) -> None:
    messages = [m async for m in world.images.import_url(f"{server}/tar", repo="u")]
    assert messages[0] == {"status": f"Downloading from {server}/tar"}
    assert messages[-1] == {"status": world.images.resolve("u").id}
    assert world.images.inspect("u")["Comment"] == f"Imported from {server}/tar"
    assert world.images.resolve("u").size_bytes == 300_000


async def test_what_is_not_there(server: str) -> None:
    with pytest.raises(InvalidParameter, match="404"):
        async with download(f"http://{server}/nope"):
            pass
    with pytest.raises(Unavailable, match="failed to download"):
        async with download("http://127.0.0.1:1/x"):
            pass
    with pytest.raises(InvalidParameter, match="invalid URL"):
        async with download("http://"):
            pass
