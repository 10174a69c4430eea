"""Start: mount, network, spec, conmon and crun, clients attached, then the process runs.

Everything up to the exec fifo can be taken back; a failure leaves the container as it
was, with the reason in its status, and a ``--rm`` container gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from pierhead import tasks
from pierhead.engine.containers import health
from pierhead.engine.containers.bundles import delete_bundle
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.destinations import resolve_destination
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.failures import UNKNOWN, start_failure
from pierhead.engine.containers.logfiles import file_limit_bytes, options_of, prepare_log
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.oom import unwatch_oom, watch_oom
from pierhead.engine.containers.specinputs import build_inputs, user_of
from pierhead.engine.networks.model import Sandbox, SandboxRequest
from pierhead.errors import Conflict, Internal, NotFound, NotModified, PierError, Unavailable
from pierhead.linux import cgroups
from pierhead.linux.mounts import Mount, unmount
from pierhead.oci.runtime_spec import build_spec
from pierhead.runtime.conmon import Launch, Started
from pierhead.runtime.crun import Runtime, RuntimeFailed

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


async def start(ctx: Context, container: Container) -> None:
    """``POST /containers/{id}/start``. Raises ``NotModified`` when it runs already."""
    async with container.lock:
        check_startable(container)
        await launch(ctx, container)


def check_startable(container: Container) -> None:
    """Docker's checks and words."""
    phase = container.status.phase
    if phase is Phase.PAUSED:
        raise Conflict("cannot start a paused container, try unpause instead")
    if phase in (Phase.RUNNING, Phase.RESTARTING):
        raise NotModified("container is already running")
    if container.removing or phase in (Phase.REMOVING, Phase.DEAD):
        raise Conflict("container is marked for removal and cannot be started")


async def launch(ctx: Context, container: Container, *, by_policy: bool = False) -> None:
    """Bring the container to life; its lock is held. ``by_policy``: a restart, not a request."""
    if ctx.stopping:
        raise Unavailable("pierd is shutting down")
    container.cancel_restart()
    await cleaned_up(container)
    try:
        await _launch(ctx, container, by_policy)
    except BaseException as error:
        await _fail(ctx, container, error, by_policy)
        if isinstance(error, RuntimeFailed):
            failure = start_failure(error.message, container.record.path)
            raise failure.as_error() from error
        raise


async def _launch(ctx: Context, container: Container, by_policy: bool) -> None:
    record, status = container.record, container.status
    container_id = record.id
    bundle, rootfs = ctx.paths.bundle(container_id), ctx.paths.rootfs(container_id)
    request = _sandbox_request(ctx, container)
    runtime = _runtime(ctx, container)
    rootfs.mkdir(parents=True, exist_ok=True)
    # The network is made in a thread; conmon's start, mounting and looking up go on meanwhile.
    attaching = tasks.spawn(ctx.networks.attach(request), name=f"network {container_id[:12]}")
    try:
        for _ in range(2):  # so many turns of the loop until the thread has its work
            await asyncio.sleep(0)
        conmon = ctx.conmon.launch(
            runtime=runtime,
            id=container_id,
            bundle=bundle,
            log_path=prepare_log(ctx, container),
            terminal=record.config.tty,
            stdin=record.config.open_stdin,
            # A terminal stays whole when its one client leaves, as in Docker.
            leave_stdin_open=record.config.tty or not record.config.stdin_once,
            log_size_max_bytes=file_limit_bytes(options_of(container)),
        )
    except BaseException:
        await _settle(attaching)
        raise
    try:
        started, sandbox = await _create(ctx, container, attaching, conmon)
    except BaseException:
        await asyncio.shield(conmon.abandon())
        raise
    for session in container.pending_attaches:
        session.connect(await ctx.conmon.attach(bundle))
    container.pending_attaches.clear()

    status.phase = Phase.RUNNING
    status.pid = started.pid
    status.conmon_pid = started.conmon_pid
    status.conmon_start_ticks = started.conmon_start_ticks
    status.exit_code = 0
    status.error = ""
    status.oom_killed = False
    status.started_ns = time.time_ns()
    status.has_been_started = True
    status.manually_restarted = False
    if not by_policy:
        status.manually_stopped = False
        status.restart_count = 0
        container.restart_backoff_s = 0.0
    status.networks = sandbox.networks
    status.ports = sandbox.ports
    status.sandbox_id = sandbox.sandbox_id
    status.sandbox_key = f"/proc/{started.pid}/ns/net" if sandbox.sandbox_key else ""
    health.reset(container)
    ctx.registry.save_status(container)
    container.exited.clear()
    watch_oom(ctx, container)
    await ctx.conmon.start(container_id, runtime)
    from pierhead.engine.containers.exits import watch

    watch(ctx, container)
    emit(ctx, container, "start")
    health.begin(ctx, container)


def _runtime(ctx: Context, container: Container) -> Runtime:
    """What the configuration calls by the container's ``Runtime``; noted for its whole run."""
    container.status.runtime_binary = ""
    if ctx.runtimes is not None:
        name = container.record.host_config.runtime
        found = ctx.runtimes.named(name, ctx.settings.runtimes)
        if found is not ctx.runtime:
            container.status.runtime_binary = found.binary
    return ctx.runtime_of(container.status)


async def _create(
    ctx: Context, container: Container, attaching: asyncio.Task[Sandbox], conmon: Launch
) -> tuple[Started, Sandbox]:
    """Mounts and spec, while conmon and the network get ready; then the created container."""
    record = container.record
    container_id = record.id
    bundle, rootfs = ctx.paths.bundle(container_id), ctx.paths.rootfs(container_id)
    try:
        ctx.snapshots.mount(container_id, rootfs)
        user = user_of(ctx, container, rootfs)
        if ctx.volumes.needs_mount(record.mounts):
            await ctx.volumes.mount(container_id, record.mounts)
        mounts = ctx.volumes.oci_mounts(container_id, record.mounts)
        for mount in mounts:
            mount["destination"] = resolve_destination(rootfs, mount["destination"])
        shm_path = _shared_memory(ctx, container)
    except BaseException:
        await _settle(attaching)
        raise
    sandbox = await attaching
    try:
        inputs = build_inputs(
            ctx,
            container,
            user=user,
            sandbox=sandbox,
            mounts=[*mounts, *_managed_files(sandbox, container)],
            shm_path=shm_path,
            hostname=_hostname(ctx, container),
        )
        spec = build_spec(inputs)
        if record.host_config.ipc_mode == "none":
            spec["mounts"] = [m for m in spec["mounts"] if m["destination"] != "/dev/shm"]
        (bundle / "config.json").write_bytes(_encode(spec))
        started = await conmon.create()
        await sandbox.ready()  # the interfaces were made meanwhile
    finally:
        sandbox.release()  # the created process holds the namespace from here on
    return started, sandbox


async def _settle(attaching: asyncio.Task[Sandbox]) -> None:
    """The network's task must have ended before its work can be undone."""
    try:
        sandbox = await attaching
    except Exception:
        return
    sandbox.release()


async def _fail(ctx: Context, container: Container, error: BaseException, by_policy: bool) -> None:
    """Undo a start that failed and record why."""
    status = container.status
    container.exited.set()
    for session in container.pending_attaches:
        session.connect(None)
    container.pending_attaches.clear()
    unwatch_oom(container)
    await teardown(ctx, container, ended=False)
    if isinstance(error, RuntimeFailed):
        failure = start_failure(error.message, container.record.path)
        status.error, status.exit_code = failure.message, failure.exit_code
    elif isinstance(error, PierError):
        status.error, status.exit_code = error.message, UNKNOWN
    else:
        status.error, status.exit_code = str(error) or type(error).__name__, UNKNOWN
    status.phase = Phase.EXITED if status.has_been_started else Phase.CREATED
    if by_policy or status.has_been_started:
        status.finished_ns = status.finished_ns or time.time_ns()
    forget_process(container)
    remove = container.record.host_config.auto_remove and not status.manually_restarted
    status.remove_on_exit = remove
    ctx.registry.save_status(container)
    if by_policy:
        from pierhead.engine.containers.wait import notify_exit

        notify_exit(container)
    if remove:
        from pierhead.engine.containers.remove import remove_stopped

        await remove_stopped(ctx, container, volumes=True)


async def teardown(ctx: Context, container: Container, *, ended: bool) -> None:
    """Take down what a start has put up. Idempotent; each step on its own.

    ``ended``: the process is known to have ended; else it is killed first.

    When this returns, ports, addresses, volumes and the snapshot are free. The runtime's
    state, the cgroup and the bundle's files go in the background: ``cleaned_up`` waits.
    """
    container_id = container.id

    async def network() -> None:
        await ctx.networks.detach(container_id)

    async def volumes() -> None:
        await ctx.volumes.stopped(container_id, container.record.mounts)

    if not ended:
        await _delete_runtime(ctx, container)
    for name, step in (("network", network), ("volumes", volumes)):
        try:
            await step()
        except Exception:
            log.exception("can't take down the %s", name, extra={"container": container_id})
    try:
        ctx.snapshots.unmount(ctx.paths.rootfs(container_id))
        shm = ctx.paths.bundle(container_id) / "shm"
        if container.record.host_config.ipc_mode == "shareable" and shm.is_dir():
            unmount(shm, lazy=True)
    except OSError:
        log.exception("can't unmount", extra={"container": container_id})
    cgroup = None if ended else ctx.cgroup_of(container.record)
    container.cleanup = tasks.spawn(
        _clean_up(ctx, container, cgroup), name=f"clean up {container_id[:12]}"
    )


async def _delete_runtime(ctx: Context, container: Container) -> None:
    try:
        await ctx.runtime_of(container.status).delete(container.id, force=True)
    except Exception:
        log.exception("can't delete the runtime's state", extra={"container": container.id})


async def _clean_up(ctx: Context, container: Container, cgroup: str | None) -> None:
    """``cgroup``: to be removed without the runtime's help, whose state may be lost."""
    await asyncio.sleep(0)  # what was told of the exit goes out first
    await _delete_runtime(ctx, container)
    try:
        if cgroup is not None:
            await asyncio.to_thread(cgroups.remove, ctx.layout, cgroup)
    finally:
        await asyncio.to_thread(_delete_files, ctx, container.id)


def _delete_files(ctx: Context, container_id: str) -> None:
    delete_bundle(ctx.paths.bundle(container_id))
    (ctx.paths.exits / container_id).unlink(missing_ok=True)


async def cleaned_up(container: Container) -> None:
    """Wait until nothing is left of the last start."""
    if container.cleanup is not None:
        await asyncio.wait([container.cleanup])
        container.cleanup = None


def forget_process(container: Container) -> None:
    status = container.status
    status.pid = status.conmon_pid = status.conmon_start_ticks = 0
    status.networks, status.ports = {}, {}
    status.sandbox_id = status.sandbox_key = ""


def _sandbox_request(ctx: Context, container: Container) -> SandboxRequest:
    mode = container.record.host_config.network_mode
    directory = ctx.paths.container(container.id)
    if not mode.startswith("container:"):
        return SandboxRequest.of(container.record, directory)
    try:
        other = ctx.registry.get(mode.removeprefix("container:"))
    except NotFound as error:
        raise NotFound(f"No such container: {mode.removeprefix('container:')}") from error
    if other.status.phase is Phase.RESTARTING:
        raise Conflict(f"container {other.id} is restarting, wait until the container is running")
    if not other.running:
        raise Conflict(f"cannot join network of a non running container: {other.id}")
    return SandboxRequest.of(
        container.record,
        directory,
        join_pid=other.status.pid,
        join_directory=ctx.paths.container(other.id),
    )


def _hostname(ctx: Context, container: Container) -> str:
    """The container's own, or that of the container whose network it shares."""
    mode = container.record.host_config.network_mode
    if mode.startswith("container:"):
        return ctx.registry.get(mode.removeprefix("container:")).record.config.hostname
    return container.record.config.hostname


def _managed_files(sandbox: Sandbox, container: Container) -> list[dict[str, Any]]:
    """The three files about names, unless the user mounts something there."""
    taken = {mount.point.destination for mount in container.record.mounts}
    files = (
        ("/etc/resolv.conf", sandbox.resolv_conf_path),
        ("/etc/hostname", sandbox.hostname_path),
        ("/etc/hosts", sandbox.hosts_path),
    )
    return [
        {
            "destination": destination,
            "type": "bind",
            "source": os.fspath(source),
            "options": ["rbind", "rprivate"],
        }
        for destination, source in files
        if destination not in taken
    ]


def _shared_memory(ctx: Context, container: Container) -> str | None:
    """The directory to bind as /dev/shm, when it is shared with others."""
    mode = container.record.host_config.ipc_mode
    if mode == "host":
        return "/dev/shm"
    if mode.startswith("container:"):
        other = ctx.registry.get(mode.removeprefix("container:"))
        if other.record.host_config.ipc_mode == "host":
            return "/dev/shm"
        return os.fspath(ctx.paths.bundle(other.id) / "shm")
    if mode != "shareable":
        return None
    shm: Path = ctx.paths.bundle(container.id) / "shm"
    shm.mkdir(exist_ok=True)
    size = container.record.host_config.shm_size
    try:
        Mount("shm", os.fspath(shm), "tmpfs", _SHM_FLAGS, f"mode=1777,size={size}").execute()
    except OSError as error:
        raise Internal(f"mounting shm tmpfs: {error}") from error
    return os.fspath(shm)


_SHM_FLAGS = 2 | 4 | 8  # MS_NOSUID | MS_NODEV | MS_NOEXEC
