"""The front door of the room: one method a verb. Decisions and work are in the verb's module.

``ref`` is a container's id, a unique prefix of it, or its name with or without the leading
slash. Unless said otherwise methods raise ``NotFound("No such container: <ref>")`` for an
unknown reference and ``Conflict`` when the container's state does not allow the verb.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from pierhead.engine.config import ContainerConfig, HostConfig, NetworkingConfig, RestartPolicy
from pierhead.engine.containers import (
    attach,
    commit,
    create,
    exec,
    inspect,
    listing,
    logs,
    pause,
    prune,
    recovery,
    remove,
    rename,
    start,
    stats,
    stop,
    top,
    update,
    wait,
)
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.model import ExecConfig
from pierhead.engine.containers.registry import Registry
from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.images.service import ImageService
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.engine.volumes.service import VolumeService
from pierhead.linux.seccomp import SeccompCache
from pierhead.runtime.conmon import Conmon
from pierhead.runtime.crun import Runtime
from pierhead.runtime.runtimes import Runtimes
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter


class ContainerService:
    """All containers of this pierd."""

    def __init__(
        self,
        *,
        paths: Paths,
        db: Database,
        images: ImageService,
        snapshots: Snapshotter,
        networks: NetworkService,
        volumes: VolumeService,
        runtime: Runtime,
        conmon: Conmon,
        events: EventBus,
        settings: Settings,
        runtimes: Runtimes | None = None,
    ) -> None:
        """Reads the records; ``recover`` must follow before anything else is asked."""
        self._ctx = Context(
            paths=paths,
            db=db,
            images=images,
            snapshots=snapshots,
            networks=networks,
            volumes=volumes,
            runtime=runtime,
            conmon=conmon,
            events=events,
            settings=settings,
            seccomp=SeccompCache(paths.data_root / "seccomp"),
            registry=Registry(db),
            execs=exec.ExecRegistry(),
            runtimes=runtimes,
        )
        self._ctx.registry.load()
        self._ended = recovery.survey(self._ctx)

    # -- which ones there are ------------------------------------------------------------

    def get(self, ref: str) -> Container:
        """Return the container. ``InvalidParameter`` if a prefix fits several."""
        return self._ctx.registry.get(ref)

    def all(self) -> builtins.list[Container]:
        """Every container, newest first."""
        return self._ctx.registry.all()

    def list(
        self, *, all: bool, limit: int, size: bool, filters: Filters
    ) -> builtins.list[dict[str, Any]]:
        """Summaries for ``GET /containers/json``, newest first. ``limit`` 0 or less: no limit."""
        return listing.list_dicts(self._ctx, all=all, limit=limit, filters=filters)

    async def list_json(
        self, *, all: bool, limit: int, size: bool, filters: Filters, api: int = 56
    ) -> bytes:
        """The same, encoded in the shape of API version 1.``api`` (parts are cached)."""
        return await listing.list_json(
            self._ctx, all=all, limit=limit, size=size, filters=filters, api=api
        )

    async def inspect(self, ref: str, *, size: bool = False) -> dict[str, Any]:
        """The newest API version's inspect object."""
        return await inspect.inspect(self._ctx, self.get(ref), size=size)

    def expect_start(self) -> None:
        """A start or an exec is on its way: see ``linux/cgroup_warmup.py``. Costs nothing."""
        self._ctx.runtime.warm_up()

    # -- life ----------------------------------------------------------------------------

    async def create(
        self,
        name: str | None,
        config: ContainerConfig,
        host_config: HostConfig,
        networking: NetworkingConfig,
        platform: str | None = None,
    ) -> tuple[str, builtins.list[str]]:
        """Make a container, return its id and warnings."""
        self.expect_start()
        return await create.create(self._ctx, name, config, host_config, networking, platform)

    async def start(self, ref: str, *, detach_keys: str | None = None) -> None:
        """``NotModified`` when it runs already."""
        self.expect_start()
        await start.start(self._ctx, self.get(ref))

    async def stop(
        self, ref: str, *, signal: str | None = None, timeout_s: int | None = None
    ) -> None:
        """``NotModified`` when it does not run. ``timeout_s`` -1 waits for ever."""
        await stop.stop(self._ctx, self.get(ref), signal=signal, timeout_s=timeout_s)

    async def restart(
        self, ref: str, *, signal: str | None = None, timeout_s: int | None = None
    ) -> None:
        await stop.restart(self._ctx, self.get(ref), signal=signal, timeout_s=timeout_s)

    async def kill(self, ref: str, signal: str | None = None) -> None:
        await stop.kill(self._ctx, self.get(ref), signal)

    async def pause(self, ref: str) -> None:
        await pause.pause(self._ctx, self.get(ref))

    async def unpause(self, ref: str) -> None:
        await pause.unpause(self._ctx, self.get(ref))

    async def rename(self, ref: str, name: str) -> None:
        await rename.rename(self._ctx, self.get(ref), name)

    async def update(
        self, ref: str, resources: HostConfig, restart_policy: RestartPolicy | None
    ) -> builtins.list[str]:
        """Change limits (fields of ``resources`` that are not zero) and the restart policy."""
        return await update.update(self._ctx, self.get(ref), resources, restart_policy)

    def register_wait(self, ref: str, condition: str = "not-running") -> wait.Waiter:
        """Registered when this returns: send headers, then await (exit code, error text)."""
        return wait.register_wait(self.get(ref), condition)

    async def remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        await remove.remove(self._ctx, self.get(ref), ref, force=force, volumes=volumes, link=link)

    async def prune(self, filters: Filters) -> tuple[builtins.list[str], int]:
        """Remove what does not run; return the ids and the bytes that were freed."""
        return await prune.prune(self._ctx, filters)

    async def commit(
        self,
        ref: str,
        *,
        repo: str,
        tag: str,
        author: str,
        comment: str,
        pause: bool,
        changes: builtins.list[str],
        config: ContainerConfig | None = None,
    ) -> str:
        """Make an image of the container's file system; return the image's id."""
        return await commit.commit(
            self._ctx,
            self.get(ref),
            repo=repo,
            tag=tag,
            author=author,
            comment=comment,
            pause=pause,
            changes=changes,
            config=config,
        )

    # -- streams -------------------------------------------------------------------------

    def prepare_attach(
        self,
        ref: str,
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        stream: bool,
        logs: bool,
        detach_keys: str | None = None,
    ) -> attach.AttachSession:
        """Check and register a client. Answer 101/200 then, and ``await session.run(io)``.

        ``session.tty`` says whether the stream is raw. ``session.cancel()`` if the answer
        could not be sent.
        """
        return attach.prepare_attach(
            self._ctx,
            self.get(ref),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            stream=stream,
            logs=logs,
            detach_keys=detach_keys,
        )

    def log_batches(
        self,
        ref: str,
        *,
        stdout: bool,
        stderr: bool,
        since_ns: int = 0,
        until_ns: int = 0,
        tail: int | None = None,
        timestamps: bool = False,
        follow: bool = False,
        details: bool = False,
    ) -> AsyncGenerator[logs.Batch, None]:
        """Yield lists of (stream, bytes), a line each. Checks at the call, reads while iterated."""
        query = logs.LogQuery(
            stdout=stdout,
            stderr=stderr,
            since_ns=since_ns,
            until_ns=until_ns,
            tail=tail,
            timestamps=timestamps,
            follow=follow,
            details=details,
        )
        return logs.read_batches(self._ctx, self.get(ref), query)

    async def resize(self, ref: str, height: int, width: int) -> None:
        await attach.resize(self._ctx, self.get(ref), height, width)

    # -- exec ----------------------------------------------------------------------------

    async def exec_create(self, ref: str, config: ExecConfig) -> str:
        self.expect_start()
        return await exec.exec_create(self._ctx, self.get(ref), config)

    def prepare_exec(
        self,
        exec_id: str,
        *,
        detach: bool = False,
        tty: bool | None = None,
        console_size: tuple[int, int] | None = None,
    ) -> exec.ExecSession:
        """Check and claim an exec. Then ``await session.run(io)`` or ``run_detached()``.

        Once claimed it can't be started again. A process that can't be started is told on
        the stream, as Docker does; detached it raises.
        """
        self.expect_start()
        return exec.prepare_exec(
            self._ctx, exec_id, detach=detach, tty=tty, console_size=console_size
        )

    def exec_inspect(self, exec_id: str) -> dict[str, Any]:
        return exec.exec_inspect(self._ctx, exec_id)

    async def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        await exec.exec_resize(self._ctx, exec_id, height, width)

    # -- looking in ----------------------------------------------------------------------

    async def top(self, ref: str, ps_args: str = "") -> dict[str, Any]:
        """``{"Titles": [...], "Processes": [[...]]}``."""
        return await top.top(self._ctx, self.get(ref), ps_args)

    def stats(
        self, ref: str, *, stream: bool, one_shot: bool = False
    ) -> AsyncIterator[dict[str, Any]]:
        """One object a second; one with ``precpu_stats`` filled when not streaming."""
        return stats.read_stats(self._ctx, self.get(ref), stream=stream, one_shot=one_shot)

    # -- the daemon's own life -----------------------------------------------------------

    async def recover(self) -> None:
        """Make records and reality agree after a start of pierd; then restart what should run."""
        ended, self._ended = self._ended, []
        await recovery.recover(self._ctx, ended)

    async def shutdown(self) -> None:
        """Stop watching. Containers go on."""
        await recovery.shutdown(self._ctx)

    def save(self, container: Container) -> None:
        """Keep a record and status that the network room has changed."""
        self._ctx.registry.save(container)

    def images_in_use(self) -> dict[str, builtins.list[Container]]:
        """Containers by the id of the image they were made from."""
        found: dict[str, builtins.list[Container]] = {}
        for container in self._ctx.registry.all():
            found.setdefault(container.record.image_id, []).append(container)
        return found
