"""An executor of build steps on the real kernel, in this process: busybox and a bridge."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pierhead.build.execute.executor import Executor
from pierhead.build.execute.model import RunOutcome, RunStep
from pierhead.build.files.model import Source
from pierhead.engine.events import EventBus
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.linux import cgroups, mounts, process
from pierhead.oci.digest import ChainId
from pierhead.runtime.crun import Runtime
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import LayerSource, Snapshotter
from pierhead.store.snapshots.choose import choose, open_snapshotter

APPLETS = (
    "sh true false cat ls sleep echo id env pwd mkdir rm touch stat ip wget nc hostname ln chmod "
    "chown mount cp mv dd sync grep sed kill ping find sha256sum tail yes head seq date df "
    "umount mknod tr stty wc"
).split()


def busybox_layer() -> bytes:
    """A tar with busybox, its applets and an account besides root."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "needs busybox-static"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:

        def add(name: str, kind: bytes, mode: int, data: bytes = b"", link: str = "") -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), link
            entry.mtime = 1_700_000_000
            tar.addfile(entry, io.BytesIO(data))

        for name in ("bin", "etc", "root", "home", "tmp", "var", "var/lib"):
            add(name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755)
        add("bin/busybox", tarfile.REGTYPE, 0o755, Path(busybox).read_bytes())
        for applet in APPLETS:
            add(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
        passwd = b"root:x:0:0:root:/root:/bin/sh\nworker:x:1000:1000::/home:/bin/sh\n"
        add("etc/passwd", tarfile.REGTYPE, 0o644, passwd)
        add("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\nworker:x:1000:\nextra:x:7:worker\n")
    return out.getvalue()


class Tree:
    """What ``Files.mountable`` gives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.released = 0

    async def release(self) -> None:
        self.released += 1


class Files:
    """A stand-in of the builds' file service: sources are directories by name."""

    def __init__(self) -> None:
        self.trees: dict[str, Path] = {}
        self.given: list[Tree] = []

    async def mountable(self, source: Source, path: str) -> Tree:
        tree = Tree(self.trees[source.name] / path.lstrip("/"))
        self.given.append(tree)
        return tree


class NoClient:
    """A client that has secrets and agents, and nothing else."""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {}
        self.agents: dict[str, Any] = {}

    async def secret(self, secret_id: str) -> bytes | None:
        return self.secrets.get(secret_id)

    async def ssh(self, agent_id: str) -> Any:
        return self.agents.get(agent_id)


class Lab:
    """One executor and what it stands on."""

    def __init__(self, root: Path, bridge: str, subnet: str) -> None:
        layout, _ = cgroups.prepare()
        self.layout = layout
        self.paths = Paths(root / "data", root / "exec")
        self.paths.create()
        self.settings = Settings(
            data_root=self.paths.data_root, exec_root=self.paths.exec_root, bridge=bridge,
            bip=subnet,
        )  # fmt: skip
        self.files = Files()
        self.client = NoClient()
        self.output: list[tuple[int, bytes]] = []

    async def start(self, *, recover: bool = True) -> None:
        """``recover`` False: beside another one, which has the network up."""
        process.become_subreaper()
        self.db = Database.open(self.paths.database)
        self.runtime = Runtime(self.paths)
        self.runtime.prepare()
        self.snapshots: Snapshotter = open_snapshotter(
            choose("", self.paths, self.db), self.paths, self.db
        )
        self.networks = NetworkService(
            db=self.db, paths=self.paths, settings=self.settings, events=EventBus(self.db)
        )
        self.executor = Executor(
            paths=self.paths, db=self.db, snapshots=self.snapshots, files=self.files,  # type: ignore[arg-type]
            networks=self.networks, runtime=self.runtime, settings=self.settings,
            layout=self.layout,
        )  # fmt: skip
        if not recover:
            self.networks._predefine(False)
            return
        await self.snapshots.recover(self.executor.live_keys())
        await self.networks.recover([])
        await self.executor.recover()

    async def stop(self) -> None:
        await self.executor.close()
        await self.networks.close()
        await self.snapshots.close()
        self.runtime.close()
        self.db.close()

    async def base(self) -> ChainId:
        fd = process.memory_file("layer", busybox_layer())
        try:
            return (await self.snapshots.apply(LayerSource(fd), None, None)).chain_id
        finally:
            os.close(fd)

    async def run(self, base: ChainId | None, script: str, **more: Any) -> RunOutcome:
        """Run a shell script; what it prints is in ``text`` then."""
        self.output = []
        step = RunStep(args=["/bin/sh", "-c", script], **more)
        return await self.executor.run(
            base,
            step,
            self.client,
            lambda stream, data: self.output.append((stream, data)),  # type: ignore[arg-type]
        )

    @property
    def text(self) -> str:
        return b"".join(data for _, data in self.output).decode()

    async def members(self, chain_id: ChainId) -> dict[str, tarfile.TarInfo]:
        """The entries of one layer's tar by name."""
        with tarfile.open(fileobj=io.BytesIO(await self.tar(chain_id))) as tar:
            return {member.name: member for member in tar}

    async def tar(self, chain_id: ChainId) -> bytes:
        fd = os.memfd_create("tar")
        try:
            await self.snapshots.layer_tar(chain_id, fd)
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)


@asynccontextmanager
async def lab(root: Path, bridge: str = "br4rtest", subnet: str = "") -> AsyncIterator[Lab]:
    """A running lab; everything of it is gone afterwards."""
    made = Lab(root, bridge, subnet)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        mounts.unmount_below(root)
