"""``/volumes``."""

from __future__ import annotations

from aiohttp.web_response import StreamResponse

from pierhead.api.call import Call
from pierhead.api.handlers.prune import prune_reply
from pierhead.engine.config import ApiStruct
from pierhead.engine.filters import Filters
from pierhead.errors import Unavailable


class VolumeCreate(ApiStruct):
    """Body of ``POST /volumes/create``."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, object] | None = None


async def list_volumes(call: Call) -> StreamResponse:
    return call.json({"Volumes": call.engine.volumes.list(call.filters()), "Warnings": None})


async def create(call: Call) -> StreamResponse:
    body: VolumeCreate = call.body
    if body.cluster_volume_spec is not None and call.api >= 42:
        raise Unavailable("This node is not a swarm manager: it has no cluster volumes.")
    made = await call.engine.volumes.create(
        body.name or None, body.driver, body.driver_opts or {}, body.labels or {}
    )
    return call.json(made, 201)


async def inspect(call: Call) -> StreamResponse:
    return call.json(call.engine.volumes.inspect(call.name))


async def remove(call: Call) -> StreamResponse:
    await call.engine.volumes.remove(call.name, force=call.flag("force"))
    return call.empty()


async def prune(call: Call) -> StreamResponse:
    filters = call.filters()
    if call.api < 42:
        # Named ones went too, until 1.42.
        filters = Filters({**filters.as_dict(), "all": ["true"]})
    names, size = await call.engine.volumes.prune(filters)
    return await prune_reply(call, {"VolumesDeleted": names, "SpaceReclaimed": size}, names)
