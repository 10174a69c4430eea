"""``/containers`` and ``/commit``: everything but streams, files and create."""

from __future__ import annotations

from aiohttp.web_response import StreamResponse

from pierhead.api import shape
from pierhead.api.call import Call
from pierhead.api.codec import encode
from pierhead.api.handlers.prune import prune_reply
from pierhead.engine.config import ContainerConfig, HostConfig
from pierhead.errors import InvalidParameter

_CONDITIONS = frozenset({"not-running", "next-exit", "removed"})
_BLKIO = ("weight_device", "device_read_bps", "device_write_bps", "device_read_iops",
          "device_write_iops")  # fmt: skip


async def list_containers(call: Call) -> StreamResponse:
    body = await call.engine.containers.list_json(
        all=call.flag("all"),
        limit=call.integer("limit", 0) or 0,
        size=call.flag("size"),
        filters=call.filters(),
        api=call.api,
    )
    return call.raw_json(body)


async def inspect(call: Call) -> StreamResponse:
    found = await call.engine.containers.inspect(call.name, size=call.flag("size"))
    return call.json(shape.container(found, call.api))


async def start(call: Call) -> StreamResponse:
    length = call.request.content_length
    if (length or 0) > 7 or (length is None and call.request.can_read_body):
        raise InvalidParameter(
            "starting container with non-empty request body was deprecated since API v1.22 and "
            "removed in v1.24"
        )
    if call.text("checkpoint"):
        raise InvalidParameter("checkpoints are not supported by Pierhead")
    await call.engine.containers.start(call.name, detach_keys=call.text("detachKeys") or None)
    return call.empty()


def _stop_options(call: Call) -> dict[str, object]:
    return {
        "signal": (call.text("signal") or None) if call.api >= 42 else None,
        "timeout_s": call.integer("t"),
    }


async def stop(call: Call) -> StreamResponse:
    await call.engine.containers.stop(call.name, **_stop_options(call))  # type: ignore[arg-type]
    return call.empty()


async def restart(call: Call) -> StreamResponse:
    await call.engine.containers.restart(call.name, **_stop_options(call))  # type: ignore[arg-type]
    return call.empty()


async def kill(call: Call) -> StreamResponse:
    await call.engine.containers.kill(call.name, call.text("signal") or None)
    return call.empty()


async def pause(call: Call) -> StreamResponse:
    await call.engine.containers.pause(call.name)
    return call.empty()


async def unpause(call: Call) -> StreamResponse:
    await call.engine.containers.unpause(call.name)
    return call.empty()


async def rename(call: Call) -> StreamResponse:
    await call.engine.containers.rename(call.name, call.text("name"))
    return call.empty()


async def update(call: Call) -> StreamResponse:
    """The body is a HostConfig in which only resources and the restart policy count."""
    body: HostConfig = call.body
    if call.api < 40:
        body.pids_limit = None
    if call.api < 55:
        for field in _BLKIO:
            setattr(body, f"blkio_{field}", None)
    policy = body.restart_policy if body.restart_policy.name else None
    warnings = await call.engine.containers.update(call.name, body, policy)
    return call.json({"Warnings": warnings or None})


async def wait(call: Call) -> StreamResponse:
    condition = (call.text("condition") if call.api >= 30 else "") or "not-running"
    if condition not in _CONDITIONS:
        raise InvalidParameter(f'invalid condition: "{condition}"')
    waiter = call.engine.containers.register_wait(call.name, condition)
    if call.api < 30:
        code, error = await waiter
        return call.json({"StatusCode": code})
    # The headers say that the waiter is in place: clients start the container after them.
    response = await call.start_stream("application/json")
    code, error = await waiter
    if error is not None and condition == "removed" and call.api < 34:
        return response  # an empty answer was the only way to tell of a failure
    answer = {"StatusCode": code, "Error": {"Message": error} if error else None}
    if call.api < 34 or error is None:
        del answer["Error"]
    await response.write(encode(answer))
    return response


async def remove(call: Call) -> StreamResponse:
    await call.engine.containers.remove(
        call.name, force=call.flag("force"), volumes=call.flag("v"), link=call.flag("link")
    )
    return call.empty()


async def prune(call: Call) -> StreamResponse:
    ids, size = await call.engine.containers.prune(call.filters())
    return await prune_reply(call, {"ContainersDeleted": ids or None, "SpaceReclaimed": size}, ids)


async def top(call: Call) -> StreamResponse:
    return call.json(await call.engine.containers.top(call.name, call.text("ps_args")))


async def resize(call: Call) -> StreamResponse:
    height, width = call.dimension("h", "height"), call.dimension("w", "width")
    await call.engine.containers.resize(call.name, height, width)
    return call.empty(200)


async def commit(call: Call) -> StreamResponse:
    config: ContainerConfig = call.body
    image_id = await call.engine.containers.commit(
        call.text("container"),
        repo=call.text("repo"),
        tag=call.text("tag"),
        author=call.text("author"),
        comment=call.text("comment"),
        pause=call.flag("pause", True),
        changes=call.texts("changes"),
        config=config if config != ContainerConfig() else None,
    )
    return call.json({"Id": str(image_id)}, 201)
