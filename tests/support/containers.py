"""The container room with everything around it made up: no root, no processes, no mounts."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pierhead.engine.config import ContainerConfig, HostConfig, NetworkingConfig
from pierhead.engine.containers import commit, exec, pause, signalling, stop
from pierhead.engine.containers import create as create_verb
from pierhead.engine.containers.check_resources import HostFacts
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.exec import ExecRegistry
from pierhead.engine.containers.registry import Registry
from pierhead.engine.images.model import Image
from pierhead.engine.networks.model import Sandbox
from pierhead.engine.settings import Settings
from pierhead.errors import NotFound
from pierhead.linux.cgroups import Layout
from pierhead.linux.seccomp import Seccomp
from pierhead.oci.image_config import ImageConfig, RunConfig
from pierhead.runtime.conmon import ExitStatus, Started
from pierhead.runtime.crun import RuntimeFailed
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Usage

CONTROLLERS = frozenset({"memory", "cpu", "cpuset", "pids", "blkio"})


class Events:
    """Remembers (action, attributes) of container events."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

    def emit(
        self, type: str, action: str, actor_id: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        if type == "container":
            self.seen.append((action, dict(attributes or {})))

    @property
    def actions(self) -> list[str]:
        return [action for action, _ in self.seen]


class FakeAttach:
    """A process's streams: the test puts packets in and reads what was written."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self.stdin = b""
        self.closed = False

    async def read(self) -> tuple[int, bytes] | None:
        return await self.out.get()

    async def write(self, data: bytes) -> None:
        self.stdin += data

    async def close_stdin(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class FakeLaunch:
    """A conmon that waits to be told to create."""

    def __init__(self, conmon: FakeConmon) -> None:
        self._conmon = conmon

    async def create(self) -> Started:
        self._conmon.calls.append("create")
        if self._conmon.fail_create:
            raise RuntimeFailed(self._conmon.fail_create)
        return self._conmon._started()

    async def abandon(self) -> None:
        self._conmon.abandoned += 1


class FakeExecLaunch:
    """The same for an exec."""

    def __init__(self, conmon: FakeConmon, options: dict[str, Any]) -> None:
        self._conmon = conmon
        self._options = options

    async def run(self, process: dict[str, Any]) -> tuple[Started, FakeAttach | None]:
        self._conmon.calls.append("exec")
        self._conmon.created = {**self._options, "process": process}
        if self._conmon.fail_exec:
            raise RuntimeFailed(self._conmon.fail_exec)
        if not self._options.get("attach", True):
            return self._conmon._started(), None
        self._conmon.attached.append(FakeAttach())
        return self._conmon._started(), self._conmon.attached[-1]

    def abandon(self) -> None:
        self._conmon.abandoned += 1


class FakeConmon:
    """Starts nothing; ``exit`` ends what it pretends to run."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.calls: list[str] = []
        self.abandoned = 0
        self.fail_create = ""
        self.fail_start = ""
        self.fail_exec = ""
        self.exits: dict[int, asyncio.Future[ExitStatus]] = {}
        self.attached: list[FakeAttach] = []
        self.created: dict[str, Any] = {}
        self._pids = itertools.count(5_000_000, 10)  # above pid_max: never a real process

    def _started(self) -> Started:
        pid = next(self._pids)
        self.exits[pid + 1] = asyncio.get_running_loop().create_future()
        return Started(pid, pid + 1, 7)

    def launch(self, **options: Any) -> FakeLaunch:
        self.created = options
        return FakeLaunch(self)

    async def start(self, id: str, runtime: object = None) -> None:
        self.calls.append("start")
        if self.fail_start:
            raise RuntimeFailed(self.fail_start)

    async def attach(self, directory: Path) -> FakeAttach:
        self.calls.append("attach")
        self.attached.append(FakeAttach())
        return self.attached[-1]

    def launch_exec(self, **options: Any) -> FakeExecLaunch:
        return FakeExecLaunch(self, options)

    def exec_exit_file(self, directory: Path, id: str) -> Path:
        return directory / id

    async def resize(self, directory: Path, rows: int, cols: int) -> None:
        self.calls.append(f"resize {rows} {cols}")

    async def wait_exit(
        self, conmon_pid: int, start_ticks: int, exit_file: Path, *, directory: Path | None = None
    ) -> ExitStatus:
        return await asyncio.shield(self.exits[conmon_pid])

    def is_alive(self, conmon_pid: int, start_ticks: int) -> bool:
        found = self.exits.get(conmon_pid)
        return found is not None and not found.done()


class FakeRuntime:
    binary = "crun"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail = ""
        self.ids: list[str] = []

    def _call(self, text: str) -> None:
        self.calls.append(text)
        if self.fail:
            raise RuntimeFailed(self.fail)

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        self.calls.append("delete")

    async def pause(self, container_id: str) -> None:
        self._call("pause")

    async def resume(self, container_id: str) -> None:
        self._call("resume")

    async def kill(self, container_id: str, signal: int, *, all: bool = False) -> None:
        self._call(f"kill {signal}")

    async def update(self, container_id: str, resources: dict[str, Any]) -> None:
        self._call(f"update {sorted(resources)}")

    async def list_ids(self) -> list[str]:
        return self.ids

    def warm_up(self) -> None:
        pass


class FakeNetworks:
    def __init__(self, directory: Path) -> None:
        self.calls: list[str] = []
        self.directory = directory
        self.fail: Exception | None = None
        self.known: dict[str, str] = {}  # name → id

    def plan(self, config: Any, host: HostConfig, networking: Any) -> dict[str, Any]:
        host.network_mode = host.network_mode or "bridge"
        return {}

    async def attach(self, request: Any) -> Sandbox:
        self.calls.append("attach")
        if self.fail:
            raise self.fail
        return Sandbox(
            hosts_path=self.directory / "hosts",
            hostname_path=self.directory / "hostname",
            resolv_conf_path=self.directory / "resolv.conf",
            netns_path="/proc/1/fd/9",
            ports={"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
            sandbox_id="s" * 64,
            sandbox_key="/key",
        )

    async def detach(self, container_id: str) -> None:
        self.calls.append("detach")

    async def forget(self, container_id: str) -> None:
        self.calls.append("forget")

    async def rename(self, container_id: str, name: str) -> None:
        self.calls.append(f"rename {name}")

    def set_links(self, container_id: str, links: list[str]) -> None:
        self.calls.append(f"links {len(links)}")

    def get(self, ref: str) -> Any:
        if ref not in self.known:
            raise NotFound(f"network {ref} not found")
        return SimpleNamespace(name=ref, id=self.known[ref])


class FakeVolumes:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail: Exception | None = None

    async def plan(self, *_args: Any) -> list[Any]:
        if self.fail:
            raise self.fail
        return []

    def needs_populate(self, mounts: Iterable[Any]) -> bool:
        return False

    def needs_mount(self, mounts: Iterable[Any]) -> bool:
        return False

    def oci_mounts(self, container_id: str, mounts: Iterable[Any]) -> list[dict[str, Any]]:
        return []

    async def stopped(self, container_id: str, mounts: Iterable[Any]) -> None:
        self.calls.append("stopped")

    async def release(
        self, container_id: str, mounts: Iterable[Any], *, remove_anonymous: bool
    ) -> None:
        self.calls.append(f"release {remove_anonymous}")


class FakeSnapshots:
    driver = "overlay2"

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.mounted: set[str] = set()
        self.fail_remove: Exception | None = None

    async def prepare(self, key: str, chain_id: Any) -> None:
        self.keys.add(key)

    def mount(self, key: str, target: Path) -> None:
        self.mounted.add(str(target))

    def unmount(self, target: Path) -> None:
        self.mounted.discard(str(target))

    async def remove(self, key: str) -> None:
        if self.fail_remove:
            raise self.fail_remove
        self.keys.discard(key)

    async def usage(self, key: str) -> Usage:
        return Usage(100, 3)

    def graph_data(self, key: str) -> dict[str, str]:
        return {"UpperDir": "/upper"}


class FakeImages:
    """Knows ``busybox``; an id is ``sha256:1``."""

    def __init__(self) -> None:
        self.config = RunConfig(cmd=["sh"], env=["PATH=/bin"], labels={"of": "image"})
        self.committed: list[dict[str, Any]] = []

    def resolve(self, ref: str, platform: str | None = None) -> Image:
        if ref not in ("busybox", "busybox:latest", "sha256:1"):
            raise NotFound(f"No such image: {ref}:latest")
        return Image(
            id="sha256:1",  # type: ignore[arg-type]
            config=ImageConfig(config=self.config),
            chain_id=None,
            size_bytes=1000,
            created_ns=1,
        )

    async def commit(self, **options: Any) -> str:
        self.committed.append(options)
        return "sha256:2"


class FakeSeccomp:
    def get(self, capabilities: Any, custom: Any = None) -> Seccomp:
        return Seccomp({"defaultAction": "SCMP_ACT_ALLOW"}, None)


class World:
    """A context of fakes, and shorthands."""

    def __init__(self, base: Path) -> None:
        self.paths = Paths(base / "data", base / "exec")
        self.paths.create()
        self.db = Database.open(self.paths.database)
        self.events = Events()
        self.conmon = FakeConmon(self.paths)
        self.runtime = FakeRuntime()
        self.networks = FakeNetworks(base)
        self.volumes = FakeVolumes()
        self.snapshots = FakeSnapshots()
        self.images = FakeImages()
        fakes: Any = self
        self.ctx = Context(
            paths=self.paths,
            db=self.db,
            images=fakes.images,
            snapshots=fakes.snapshots,
            networks=fakes.networks,
            volumes=fakes.volumes,
            runtime=fakes.runtime,
            conmon=fakes.conmon,
            events=fakes.events,
            settings=Settings(name="host"),
            seccomp=FakeSeccomp(),  # type: ignore[arg-type]
            registry=Registry(self.db),
            execs=ExecRegistry(),
        )
        # Cached properties: what this machine has must not matter.
        self.ctx.__dict__["facts"] = HostFacts(cpus=2, controllers=CONTROLLERS)
        self.ctx.__dict__["layout"] = Layout("v2", (), {"memory": base / "cgroup"})

    async def create(
        self, name: str = "one", config: ContainerConfig | None = None, **host: Any
    ) -> Container:
        container_id, _ = await create_verb.create(
            self.ctx,
            name,
            config or ContainerConfig(image="busybox"),
            HostConfig(**host),
            NetworkingConfig(),
            None,
        )
        return self.ctx.registry.get(container_id)

    async def exit(self, container: Container, code: int = 0, **more: Any) -> None:
        """End the container's process and let pierd see it."""
        status = ExitStatus(code, more.pop("oom_killed", False), 2_000_000_000, **more)
        self.conmon.exits[container.status.conmon_pid].set_result(status)
        await settle()

    def deliver(self, container: Container, number: int) -> bool:
        """Stands in for the kernel: SIGKILL and SIGTERM end the process."""
        future = self.conmon.exits.get(container.status.conmon_pid)
        if future is None or future.done():
            return False
        self.delivered.append(number)
        if number in self.deadly:
            future.set_result(ExitStatus(128 + number, False, 2_000_000_000))
        return True

    delivered: list[int] = []
    deadly: tuple[int, ...] = (9, 15)

    def install(self, monkeypatch: Any) -> None:
        """Signals go to ``deliver``."""
        self.delivered = []
        monkeypatch.setattr(stop, "send_signal", self.deliver)
        monkeypatch.setattr(signalling, "send_signal", self.deliver)
        for module in (exec, pause, commit):
            monkeypatch.setattr(module, "is_gone", lambda container: not container.running)

    async def close(self) -> None:
        from pierhead.engine.containers import recovery

        await recovery.shutdown(self.ctx)
        self.db.close()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)


class Client:
    """An attached client: the test types, and reads what it was sent."""

    def __init__(self) -> None:
        self.typed: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.seen: list[tuple[int, bytes]] = []
        self.gone = asyncio.Event()

    async def read(self) -> bytes:
        data = await self.typed.get()
        if data is None:
            raise ConnectionError
        return data

    async def write(self, stream: int, data: bytes) -> None:
        if self.gone.is_set():
            raise ConnectionError
        self.seen.append((stream, data))

    async def wait_gone(self) -> None:
        await self.gone.wait()
