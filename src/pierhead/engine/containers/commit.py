"""Commit: an image of a container's file system and configuration."""

from __future__ import annotations

from typing import Any

import msgspec

from pierhead.engine.config import ContainerConfig
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.merge import merge_config
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.pause import pause as pause_container
from pierhead.engine.containers.pause import unpause
from pierhead.engine.containers.signalling import is_gone
from pierhead.errors import Conflict, NotFound
from pierhead.oci.image_config import HealthcheckConfig, RunConfig
from pierhead.runtime.crun import RuntimeFailed


async def commit(
    ctx: Context,
    container: Container,
    *,
    repo: str,
    tag: str,
    author: str,
    comment: str,
    pause: bool,
    changes: list[str],
    config: ContainerConfig | None,
) -> str:
    """``POST /commit``. A running container is paused meanwhile if ``pause``."""
    if container.removing or container.status.phase is Phase.DEAD:
        raise Conflict(f"You cannot commit container {container.id} which is Dead")
    own = container.record.config
    merged = merge_config(config, own) if config is not None else own
    try:
        parent = ctx.images.resolve(container.record.image_id)
    except NotFound:
        parent = None
    paused = pause and container.status.phase is Phase.RUNNING
    if paused:
        try:
            await pause_container(ctx, container)
        except (Conflict, RuntimeFailed):
            if not is_gone(container):
                raise
            # It ended in this moment: its files are still, as a pause would have made them.
    try:
        image_id = await ctx.images.commit(
            snapshot_key=container.id,
            parent=parent,
            config=run_config(merged),
            container_config=run_config(own),
            author=author,
            comment=comment,
            changes=changes,
            repo=repo,
            tag=tag,
            container_id=container.id,
        )
    finally:
        if paused and container.status.phase is Phase.PAUSED:
            try:
                await unpause(ctx, container)
            except (Conflict, RuntimeFailed):
                if not is_gone(container):
                    raise
    emit(
        ctx,
        container,
        "commit",
        comment=comment,
        imageID=image_id,
        imageRef=f"{repo}:{tag or 'latest'}" if repo else "",
    )
    return image_id


def run_config(config: ContainerConfig) -> RunConfig:
    """What of a container's configuration belongs into an image. Pure."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(RunConfig):
        if hasattr(config, field.name):
            values[field.name] = getattr(config, field.name)
    health = config.healthcheck
    values["healthcheck"] = HealthcheckConfig(**msgspec.structs.asdict(health)) if health else None
    values["domainname"] = ""
    return RunConfig(**values)
