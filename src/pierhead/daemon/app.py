"""pierd's wiring: every part made in the order of its needs, and taken down in reverse.

Configuration → machine → lock → sockets → database → stores → services → recovery →
serving → ready. The sockets are opened early, so that an address in use is found before
anything changes and clients queue meanwhile; they are answered when all is recovered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from pierhead import __version__, tasks
from pierhead.api.app import Api, build_app
from pierhead.api.connection import Server
from pierhead.api.context import Engine
from pierhead.api.versions import MAX_VERSION, MIN_VERSION
from pierhead.build.buildkit.door import BuildKitDoor
from pierhead.build.service import BuildService
from pierhead.daemon import builds as building
from pierhead.daemon import logs, notify, process, requirements
from pierhead.daemon.configuration import Configuration, ConfigurationError
from pierhead.daemon.listeners import Listener, ListenError, Tls, open_all
from pierhead.daemon.lock import Lock, PidFile
from pierhead.daemon.reaper import Reaper
from pierhead.daemon.settings import proxies_of, reload, settings_of
from pierhead.distribution.service import DistributionService
from pierhead.engine.containers.files import ContainerFiles
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.service import ContainerService
from pierhead.engine.events import EventBus
from pierhead.engine.images.reports import ImageReports
from pierhead.engine.images.service import ContainerUse, ImageService
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.engine.system import SystemService
from pierhead.engine.volumes.service import VolumeService
from pierhead.errors import PierError
from pierhead.linux import cgroups, memory
from pierhead.linux.process import become_subreaper
from pierhead.linux.process import run as run_program
from pierhead.runtime.conmon import Conmon
from pierhead.runtime.crun import Runtime
from pierhead.runtime.runtimes import Runtimes
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter
from pierhead.store.snapshots.choose import choose, open_snapshotter

log = logging.getLogger(__name__)

CHECKPOINT_S: Final = 30.0
WAL_LIMIT_BYTES: Final = 1 << 20
THREADS: Final = 4
CLEANUP_S: Final = 5.0
FORCED_AFTER: Final = 3


def serve(configuration: Configuration) -> int:
    """Run until SIGTERM or SIGINT; the process's exit code."""
    logs.set_up(
        configuration["log-format"], configuration["log-level"], bool(configuration["debug"])
    )
    settings = settings_of(configuration)
    for name, value in proxies_of(configuration).items():
        os.environ.pop(name.lower(), None)
        os.environ[name] = value
    faults = requirements.missing(runtimes=settings.runtimes, conmon=settings.conmon)
    if faults:
        for fault in faults:
            sys.stderr.write(f"pierd: {fault}\n")
        return 1
    memory.limit_arenas(2)
    try:
        asyncio.run(_serve(configuration, settings))
    except (PierError, ListenError) as error:
        sys.stderr.write(f"pierd: {error}\n")
        return 1
    except Exception as error:
        log.exception("pierd can't run")
        sys.stderr.write(f"pierd: {type(error).__name__}: {error}\n")
        return 1
    return 0


async def _serve(configuration: Configuration, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="pierd"))
    stop = asyncio.Event()
    _watch_stop(stop)
    paths = Paths(settings.data_root, settings.exec_root)
    async with AsyncExitStack() as stack:
        listeners = _claim(stack, configuration, settings, paths)
        engine = await _engine(stack, settings, paths, _tls_of(configuration, settings))
        server = build_app(engine, settings)
        await _listen(stack, listeners, server, settings)
        _watch_reload(configuration, settings, engine)
        stack.callback(engine.events.close)
        process.settle()
        notify.ready()
        log.info("ready", extra={"version": __version__, "hosts": ",".join(settings.hosts)})
        for warning in configuration.warnings:
            log.warning(warning)
        await stop.wait()
        log.info("stopping; containers go on")
        notify.stopping()
    log.info("stopped")


def _watch_stop(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT ask for a stop; who asks a third time wants it at once."""
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        stop.set()
        if asked >= FORCED_AFTER:
            sys.stderr.write("pierd: forced to stop; the next start cleans up\n")
            os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ask)


def _claim(
    stack: AsyncExitStack, configuration: Configuration, settings: Settings, paths: Paths
) -> list[Listener]:
    """Make the directories and the data root ours, and open the sockets."""
    paths.create()
    lock = Lock(paths.lock)
    lock.acquire()
    stack.callback(lock.release)
    pidfile = PidFile(Path(configuration.values.get("pidfile") or paths.pidfile))
    pidfile.write()
    stack.callback(pidfile.remove)
    tls = Tls(
        on=bool(configuration.values.get("tls")),
        verify=bool(configuration.values.get("tlsverify")),
        ca=configuration["tlscacert"],
        certificate=configuration["tlscert"],
        key=configuration["tlskey"],
    )
    listeners = open_all(settings.hosts, tls, configuration.values.get("group") or "")
    for listener in listeners:
        stack.callback(listener.sock.close)
        stack.callback(listener.remove)
    return listeners


def _tls_of(configuration: Configuration, settings: Settings) -> tuple[bool, bool]:
    verify = bool(configuration.values.get("tlsverify"))
    return verify or bool(configuration.values.get("tls")), verify


async def _engine(
    stack: AsyncExitStack, settings: Settings, paths: Paths, tls: tuple[bool, bool]
) -> Engine:
    """Open the stores, make the services, recover what there was."""
    become_subreaper()
    reaper = Reaper()
    reaper.start()
    stack.callback(reaper.stop)
    layout, complaints = cgroups.prepare()
    for complaint in complaints:
        log.warning(complaint)

    db = Database.open(paths.database)
    stack.callback(db.close)
    settings.daemon_id = _daemon_id(db)
    checkpoints = tasks.spawn(_checkpoint(db, paths), name="checkpoint")
    stack.push_async_callback(_cancel, checkpoints)
    events = EventBus(db)

    runtime = Runtime(paths, settings.runtimes[settings.default_runtime])
    runtime.prepare()
    stack.callback(runtime.close)
    runtimes = Runtimes(paths, runtime)
    stack.callback(runtimes.close)
    conmon = Conmon(paths, runtime, settings.conmon)
    conmon.prepare()
    blobs = BlobStore(paths)
    blobs.recover()
    stack.callback(blobs.close)
    choice = choose(settings.storage_driver, paths, db)
    settings.storage_driver, settings.storage_status = choice.driver, choice.status
    snapshots = open_snapshotter(choice, paths, db)
    log.info("storage driver", extra={"driver": choice.driver, "why": choice.why})
    stack.push_async_callback(snapshots.close)
    images = ImageService(paths=paths, db=db, blobs=blobs, snapshots=snapshots, events=events)
    distribution = DistributionService(
        images=images, blobs=blobs, snapshots=snapshots, events=events, settings=settings
    )
    stack.push_async_callback(distribution.close)
    networks = NetworkService(db=db, paths=paths, settings=settings, events=events)
    stack.push_async_callback(networks.close)
    volumes = VolumeService(db=db, paths=paths, settings=settings, events=events)
    containers = ContainerService(
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
        runtimes=runtimes,
    )
    files = ContainerFiles(paths=paths, snapshots=snapshots, volumes=volumes)
    networks.containers = containers  # type: ignore[assignment]
    images.in_use = lambda image_id: [
        ContainerUse(container.id, container.running)
        for container in containers.all()
        if container.record.image_id == image_id
    ]
    images.use_counts = lambda: Counter(container.record.image_id for container in containers.all())
    builds = building.make(
        paths=paths,
        db=db,
        blobs=blobs,
        snapshots=snapshots,
        images=images,
        networks=networks,
        distribution=distribution,
        runtime=runtime,
        events=events,
        settings=settings,
        layout=layout,
    )
    buildkit = BuildKitDoor(builds=builds, images=images, networks=networks, settings=settings)
    await _recover(paths, snapshots, images, networks, volumes, containers, builds)
    stack.push_async_callback(containers.shutdown)
    stack.push_async_callback(builds.close)
    stack.push_async_callback(buildkit.close)
    system = SystemService(
        settings=settings,
        layout=layout,
        containers=containers,
        images=images,
        networks=networks,
        volumes=volumes,
        events=events,
        api_version=MAX_VERSION,
        min_api_version=MIN_VERSION,
        components={
            "crun": await runtime.version(),
            "conmon": await _version_of(settings.conmon),
        },
        tls=lambda host: tls,
    )
    return Engine(
        containers=containers,
        images=images,
        networks=networks,
        volumes=volumes,
        events=events,
        system=system,
        files=files,
        settings=settings,
        distribution=distribution,
        reports=ImageReports(images=images, snapshots=snapshots, paths=paths),
        build=builds,
        buildkit=buildkit,
    )


async def _recover(
    paths: Paths,
    snapshots: Snapshotter,
    images: ImageService,
    networks: NetworkService,
    volumes: VolumeService,
    containers: ContainerService,
    builds: BuildService,
) -> None:
    """After any death of the last pierd: clean up what was half made, go on with the rest."""
    started = time.monotonic()
    _empty(paths.tmp)
    known = containers.all()
    running = [container for container in known if container.running]
    await snapshots.recover({container.id for container in known} | builds.live_keys())
    builds.hold()
    await images.recover()
    await volumes.recover(
        [container.record for container in known], [container.id for container in running]
    )
    await networks.recover(running)
    await builds.recover()
    await containers.recover()
    alive = sum(1 for container in containers.all() if container.status.phase is Phase.RUNNING)
    log.info(
        "recovered",
        extra={
            "containers": len(known),
            "running": alive,
            "seconds": round(time.monotonic() - started, 3),
        },
    )


def _empty(directory: Path) -> None:
    """Remove what workers left in their scratch directory."""
    import shutil

    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(entry.path)


async def _listen(
    stack: AsyncExitStack, listeners: list[Listener], server: Server, settings: Settings
) -> None:
    """Serve the open sockets; at stop end the streams, let short requests finish."""
    api: Api = server.api  # type: ignore[attr-defined]
    loop = asyncio.get_running_loop()
    servers: list[asyncio.AbstractServer] = []

    async def close() -> None:
        for serving in servers:
            serving.close()
        server.pre_shutdown()
        await api.end_streams(CLEANUP_S)
        await server.shutdown(settings.shutdown_timeout_s)

    stack.push_async_callback(close)
    for listener in listeners:
        if listener.path is not None or listener.sock.family.name == "AF_UNIX":
            servers.append(await loop.create_unix_server(server, sock=listener.sock, backlog=512))
        else:
            servers.append(
                await loop.create_server(server, sock=listener.sock, ssl=listener.tls, backlog=512)
            )


def _watch_reload(configuration: Configuration, settings: Settings, engine: Engine) -> None:
    """On SIGHUP read daemon.json again."""

    def again() -> None:
        notify.reloading()
        try:
            changed = reload(configuration, settings)
        except ConfigurationError as error:
            for fault in error.faults:
                log.error("reload refused", extra={"fault": fault})
        else:
            values = configuration.values
            logs.set_up(values["log-format"], values["log-level"], bool(values["debug"]))
            log.info("reloaded", extra={"changed": ",".join(changed)})
            engine.events.emit("daemon", "reload", settings.daemon_id, _reload_facts(settings))
        notify.ready()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again)


def _reload_facts(settings: Settings) -> dict[str, str]:
    """The attributes of dockerd's reload event that we have."""
    return {
        "name": settings.name,
        "debug": str(settings.debug).lower(),
        "labels": str(settings.labels).replace("'", '"') if settings.labels else "[]",
        "default-shm-size": str(settings.default_shm_size),
        "default-runtime": settings.default_runtime,
        "insecure-registries": str(settings.insecure_registries).replace("'", '"'),
        "registry-mirrors": str(settings.registry_mirrors).replace("'", '"'),
        "max-concurrent-downloads": str(settings.max_concurrent_downloads),
        "max-concurrent-uploads": str(settings.max_concurrent_uploads),
        "max-download-attempts": str(settings.max_download_attempts),
        "shutdown-timeout": str(settings.shutdown_timeout_s),
        "live-restore": "true",
    }


def _daemon_id(db: Database) -> str:
    """An id that stays with the data root."""
    row = db.row("SELECT value FROM meta WHERE key = 'daemon_id'")
    if row is not None:
        return str(row[0])
    raw = secrets.token_hex(16)
    made = "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))
    db.execute("INSERT INTO meta (key, value) VALUES ('daemon_id', ?)", (made,))
    return made


async def _version_of(binary: str) -> str:
    """``conmon version 2.1.6`` → ``2.1.6``; empty if it won't say."""
    try:
        done = await run_program([binary, "--version"], timeout_s=10)
    except (OSError, TimeoutError):
        return ""
    first = done.stdout.decode(errors="replace").partition("\n")[0]
    return first.rpartition(" ")[2].strip()


async def _checkpoint(db: Database, paths: Paths) -> None:
    """Move the write-ahead log into the database when it has grown."""
    wal = f"{paths.database}-wal"
    while True:
        await asyncio.sleep(CHECKPOINT_S)
        try:
            if os.stat(wal).st_size > WAL_LIMIT_BYTES:
                await db.checkpoint()
        except FileNotFoundError:
            continue
        except Exception:
            log.exception("checkpoint failed")


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
