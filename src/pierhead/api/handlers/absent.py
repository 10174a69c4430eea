"""Endpoints of what Pierhead doesn't have: refused with the way out.

Swarm's answer as a Docker daemon outside a swarm does (503), so that clients which probe
for it go on; what a later version will bring answers 501.
"""

from __future__ import annotations

from typing import Final

from aiohttp.web_response import StreamResponse

from pierhead.api.call import Call
from pierhead.errors import NotFound, NotImplementedYet, Unavailable

_NO_SWARM: Final = (
    "This node is not a swarm manager. Pierhead has no swarm mode: use this node's containers, "
    "networks and volumes directly."
)


async def swarm(call: Call) -> StreamResponse:
    raise Unavailable(_NO_SWARM)


async def swarm_setup(call: Call) -> StreamResponse:
    raise NotImplementedYet(
        "Pierhead has no swarm mode: use this node's containers, networks and volumes directly"
    )


async def no_plugins(call: Call) -> StreamResponse:
    return call.json([])


async def plugin(call: Call) -> StreamResponse:
    raise NotFound(f'plugin "{call.name}" not found')


async def plugin_install(call: Call) -> StreamResponse:
    raise NotImplementedYet("managed plugins are not implemented yet")


async def cluster_volume(call: Call) -> StreamResponse:
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")
