"""``/networks``."""

from __future__ import annotations

from aiohttp.web_response import StreamResponse

from pierhead.api import shape
from pierhead.api.call import Call
from pierhead.api.handlers.prune import prune_reply
from pierhead.engine.config import ApiStruct, EndpointSettings
from pierhead.engine.networks.model import NetworkCreate


class ConnectRequest(ApiStruct):
    """Body of ``POST /networks/{id}/connect``."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class DisconnectRequest(ApiStruct):
    """Body of ``POST /networks/{id}/disconnect``."""

    container: str = ""
    force: bool = False


async def list_networks(call: Call) -> StreamResponse:
    networks = call.engine.networks
    found = networks.list(call.filters())
    if call.api < 28:
        # Until 1.28 the list showed the containers, too.
        found = [networks.inspect(item["Id"]) for item in found]
    return call.json([shape.network(item, call.api) for item in found])


async def inspect(call: Call) -> StreamResponse:
    found = call.engine.networks.inspect(
        call.name, verbose=call.flag("verbose"), scope=call.text("scope")
    )
    return call.json(shape.network(found, call.api))


async def create(call: Call) -> StreamResponse:
    body: NetworkCreate = call.body
    if call.api < 48:
        body.enable_ipv4 = None
    network_id, warning = await call.engine.networks.create(body)
    return call.json({"Id": network_id, "Warning": warning}, 201)


async def connect(call: Call) -> StreamResponse:
    body: ConnectRequest = call.body
    if call.api < 54 and body.endpoint_config is not None:
        body.endpoint_config.mac_address = ""  # ignored until 1.54
    await call.engine.networks.connect(call.name, body.container, body.endpoint_config)
    return call.empty(200)


async def disconnect(call: Call) -> StreamResponse:
    body: DisconnectRequest = call.body
    await call.engine.networks.disconnect(call.name, body.container, force=body.force)
    return call.empty(200)


async def remove(call: Call) -> StreamResponse:
    await call.engine.networks.remove(call.name)
    return call.empty()


async def prune(call: Call) -> StreamResponse:
    names = await call.engine.networks.prune(call.filters())
    return await prune_reply(call, {"NetworksDeleted": names or None}, names)
