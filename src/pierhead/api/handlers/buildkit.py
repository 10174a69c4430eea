"""BuildKit's door on HTTP/1.1: the two upgrades, and ``POST /build?version=2``.

``GET``-like work is done by ``build.buildkit.door``; here connections are taken over.
"""

from __future__ import annotations

from aiohttp.web_response import StreamResponse

from pierhead.api.call import Call
from pierhead.errors import NotImplementedYet


async def grpc(call: Call) -> StreamResponse:
    """``POST /grpc`` with ``Upgrade: h2c``."""
    raise NotImplementedYet("BuildKit's door is not open yet: use DOCKER_BUILDKIT=0")


async def session(call: Call) -> StreamResponse:
    """``POST /session`` with ``Upgrade: h2c``."""
    raise NotImplementedYet("BuildKit's door is not open yet: use DOCKER_BUILDKIT=0")


async def build(call: Call) -> StreamResponse:
    """``POST /build?version=2``: what ``docker build`` 18.09 to 20.10 does with BuildKit.

    The handler of ``POST /build`` hands over to this one when ``version`` is 2.
    """
    raise NotImplementedYet("BuildKit's door is not open yet: use DOCKER_BUILDKIT=0")
