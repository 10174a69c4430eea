from __future__ import annotations

import pytest

from pierhead.engine.config import EndpointSettings, HostConfig
from pierhead.engine.containers import links
from pierhead.engine.containers.inspect import inspect
from pierhead.engine.containers.listing import names
from pierhead.engine.containers.registry import Registry
from pierhead.engine.containers.remove import remove
from pierhead.engine.containers.rename import rename
from pierhead.errors import Conflict, InvalidParameter, NotFound
from support.containers import World


async def take_away(world: World, ref: str, *, link: bool = False) -> None:
    container = world.ctx.registry.get(ref)
    await remove(world.ctx, container, ref, force=False, volumes=False, link=link)


async def test_the_other_gets_a_second_name(world: World) -> None:
    db = await world.create("db")
    app = await world.create("app", links=["db:data"])
    assert app.record.host_config.links == [f"{db.id}:data"]
    assert world.ctx.registry.get("app/data") is db is world.ctx.registry.get("/app/data")
    assert names(world.ctx, db) == ["/db", "/app/data"]
    told = await inspect(world.ctx, app, size=False)
    assert told["HostConfig"]["Links"] == ["/db:/app/data"]


async def test_renaming_either(world: World) -> None:
    db = await world.create("db")
    await world.create("app", links=["db:data"])
    await rename(world.ctx, world.ctx.registry.get("app"), "web")
    assert world.ctx.registry.get("web/data") is db
    with pytest.raises(NotFound):
        world.ctx.registry.get("app/data")
    await rename(world.ctx, world.ctx.registry.get("web/data"), "store")
    assert names(world.ctx, db) == ["/store", "/web/data"]


async def test_taking_a_link_away(world: World) -> None:
    db = await world.create("db")
    app = await world.create("app", links=["db:data", "db:again"])
    with pytest.raises(Conflict, match="cannot remove the default link name"):
        await take_away(world, "db", link=True)
    await take_away(world, "app/data", link=True)
    assert names(world.ctx, db) == ["/db", "/app/again"]
    assert app.record.host_config.links == [f"{db.id}:again"]
    assert world.ctx.registry.get("db") is db, "the container stays"


async def test_a_removed_container_is_linked_no_more(world: World) -> None:
    await world.create("db")
    app = await world.create("app", links=["db:data"])
    await take_away(world, "db")
    assert app.record.host_config.links == []
    with pytest.raises(NotFound):
        world.ctx.registry.get("app/data")


async def test_a_new_pierd_knows_them(world: World) -> None:
    db = await world.create("db")
    app = await world.create("app", links=["db:data"])
    app.record.host_config.links = ["db:data", "gone:x"]  # as older versions wrote them
    world.ctx.registry.save(app)
    again = Registry(world.db)
    again.load()
    assert again.get("app/data").id == db.id
    assert again.get("app").record.host_config.links == [f"{db.id}:data"]


async def test_variables_of_what_runs(world: World) -> None:
    db = await world.create("db")
    app = await world.create("app", links=["db:data"])
    assert links.variables(world.ctx, app) == []
    db.status.networks = {"bridge": EndpointSettings(ip_address="172.17.0.9")}
    assert "DATA_NAME=/app/data" in links.variables(world.ctx, app)


async def test_bad_links(world: World) -> None:
    with pytest.raises(InvalidParameter, match="could not get container for nobody"):
        links.resolve(world.ctx, HostConfig(links=["nobody"]))
    await world.create("here", network_mode="host")
    with pytest.raises(InvalidParameter, match="host type networking"):
        links.resolve(world.ctx, HostConfig(links=["here"]))
