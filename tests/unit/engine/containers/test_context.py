from __future__ import annotations

import msgspec

from pierhead.linux import cgroups
from support.containers import World


async def test_cgroup_parents(world: World) -> None:
    record = (await world.create()).record
    assert world.ctx.cgroup_of(record) == f"/pierhead/{record.id}"
    world.ctx.settings.cgroup_parent = "/daemon"
    assert world.ctx.cgroup_of(record) == f"/daemon/{record.id}"
    host = msgspec.structs.replace(record.host_config, cgroup_parent="/own")
    own = msgspec.structs.replace(record, host_config=host)
    assert world.ctx.cgroup_of(own) == f"/own/{record.id}"


async def test_facts_come_from_the_host(world: World) -> None:
    del world.ctx.__dict__["facts"]
    world.ctx.__dict__["layout"] = cgroups.Layout("v2", ("memory", "io"), {})
    facts = world.ctx.facts
    assert facts.cgroup_v2 and facts.swap_limit and facts.cpus >= 1
    assert facts.controllers == {"memory", "io"}
