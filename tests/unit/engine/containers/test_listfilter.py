from __future__ import annotations

import pytest

from pierhead.engine.config import (
    ContainerConfig,
    EndpointSettings,
    MountPoint,
    PortBinding,
)
from pierhead.engine.containers import start
from pierhead.engine.containers.listing import select
from pierhead.engine.containers.model import HealthStatus, MountRecord
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter, NotFound
from support.containers import World


def names(world: World, *, all: bool = True, **filters: str | list[str]) -> set[str]:
    given = {
        key.replace("_", "-").replace("not", "!"): [value] if isinstance(value, str) else value
        for key, value in filters.items()
    }
    return {c.name for c in select(world.ctx, all=all, limit=0, filters=Filters(given))}


async def test_each_filter(world: World) -> None:
    web = await world.create(
        "web",
        ContainerConfig(
            image="busybox", labels={"tier": "front"}, exposed_ports={"80/tcp": {}, "90-95/udp": {}}
        ),
        port_bindings={"80/tcp": [PortBinding(host_port="8080")]},
    )
    db = await world.create("db", ContainerConfig(image="busybox", labels={"tier": "back"}))
    db.record.mounts = [
        MountRecord(point=MountPoint(type="volume", name="data", destination="/var/db"))
    ]
    db.record.networks = {"backnet": EndpointSettings()}
    world.networks.known = {"backnet": "n123"}
    await start.start(world.ctx, web)
    web.status.health = HealthStatus(status="healthy")
    await start.start(world.ctx, db)
    await world.exit(db, 3)

    assert names(world, id=web.id[:8]) == {"web"}
    assert names(world, name="^/?we") == names(world, name="web") == {"web"}
    assert names(world, label="tier") == {"web", "db"}
    assert names(world, label="tier=back") == {"db"}
    assert names(world, status="exited") == names(world, all=False, status="exited") == {"db"}
    assert names(world, status=["running", "exited"]) == {"web", "db"}
    assert names(world, exited="3") == {"db"} and names(world, exited="0") == set()
    assert names(world, health="healthy") == {"web"}
    assert names(world, health="none") == {"db"}
    assert names(world, ancestor="busybox") == {"web", "db"}
    assert names(world, ancestor="other") == set()
    assert names(world, before="db") == {"web"} and names(world, since="web") == {"db"}
    assert names(world, volume="data") == names(world, volume="/var/db/") == {"db"}
    assert names(world, network="backnet") == names(world, network="n123") == {"db"}
    assert names(world, publish="80") == names(world, publish="70-99/tcp") == {"web"}
    assert names(world, publish="80/udp") == set()
    assert names(world, expose="93/udp") == {"web"}
    assert names(world, is_task="true") == set() and len(names(world, is_task="false")) == 2
    assert names(world, all=False) == {"web"}


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"colour": "red"}, "invalid filter 'colour'"),
        ({"status": "flying"}, "invalid filter 'status=flying'"),
        ({"health": "so-so"}, "invalid filter 'health=so-so'"),
        ({"exited": "x"}, "invalid filter 'exited=x'"),
        ({"publish": "http"}, "invalid filter 'publish=http'"),
        ({"is_task": "perhaps"}, "invalid filter 'is-task=perhaps'"),
    ],
)
async def test_refusals(world: World, filters: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        names(world, **filters)  # type: ignore[arg-type]
    assert caught.value.message == text


async def test_before_an_unknown_container(world: World) -> None:
    with pytest.raises(NotFound, match="No such container: nobody"):
        names(world, before="nobody")
