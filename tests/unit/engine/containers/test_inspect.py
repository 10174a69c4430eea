from __future__ import annotations

from pierhead.engine.config import ContainerConfig, HealthConfig
from pierhead.engine.containers import start
from pierhead.engine.containers.inspect import inspect
from support.containers import World


async def test_created(world: World) -> None:
    made = await world.create(links=[])
    found = await inspect(world.ctx, made, size=False)
    assert found["Id"] == made.id and found["Name"] == "/one" and found["Path"] == "sh"
    assert found["State"]["Status"] == "created" and not found["State"]["Running"]
    assert found["State"]["StartedAt"] == found["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert found["LogPath"] == found["HostsPath"] == ""
    assert found["GraphDriver"] == {"Name": "overlay2", "Data": {"UpperDir": "/upper"}}
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert found["HostConfig"]["ConsoleSize"] == [0, 0]
    assert "SizeRw" not in found and "Health" not in found["State"]
    for name in ("Healthcheck", "StopSignal", "Shell", "MacAddress"):
        assert name not in found["Config"], name
    for name in ("Annotations", "Tmpfs", "Sysctls", "Init", "Mounts"):
        assert name not in found["HostConfig"], name


async def test_running_with_size_and_health(world: World) -> None:
    config = ContainerConfig(
        image="busybox", healthcheck=HealthConfig(test=["CMD", "true"], interval=10**12)
    )
    made = await world.create(config=config)
    await start.start(world.ctx, made)
    found = await inspect(world.ctx, made, size=True)
    state = found["State"]
    assert (state["Status"], state["Running"], state["Pid"]) == ("running", True, made.status.pid)
    assert state["Health"] == {"Status": "starting", "FailingStreak": 0, "Log": []}
    assert (found["SizeRw"], found["SizeRootFs"]) == (100, 1100)
    assert found["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == "8080"
    assert found["LogPath"].endswith(f"/{made.id}/container.log")
    assert found["Config"]["Healthcheck"]["Test"] == ["CMD", "true"]
