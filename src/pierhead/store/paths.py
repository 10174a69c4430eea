"""Where everything lies on disk, drawn once and computed in one place.

::

    <data-root>/                    /var/lib/pierhead, mode 0710
      lock                          flock held by the one pierd that writes here
      state.db                      SQLite, WAL; see store/schema.py
      blobs/sha256/<hex>            content-addressed, immutable, mode 0444
      ingest/<random>               blobs on their way in; emptied at start
      snapshots/<driver>/           owned by the snapshotter of that name
      containers/<id>/              log files, hosts, hostname, resolv.conf
      volumes/<name>/_data          the local volume driver
      tmp/                          scratch of workers; emptied at start
      builds/                       kept contexts, downloads, cache mounts, logs: see
                                    build/files/service.py and build/execute/mounts.py

    <exec-root>/                    /run/pierhead, gone after a reboot
      pierd.pid
      containers/<id>/              one start of a container: the bundle
        config.json                 runtime spec
        rootfs                      mount point of the snapshot
        attach ctl winsz pidfile    conmon's sockets and files
        execs/<exec id>/            process.json, conmon's files of one exec
      views/<id>                    a stopped container's snapshot while files are copied
      build/                        steps that run, their networks: see build/execute/executor.py
      builds/                       trees that builds read, mounted read-only
      layers/<n>                  mounted layers, where the kernel wants them mounted somewhere
      exits/<id or exec id>         exit code written by conmon, decimal
      crun/                         the runtime's own state (--root)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_DATA_ROOT = Path("/var/lib/pierhead")
DEFAULT_EXEC_ROOT = Path("/run/pierhead")


@dataclass(frozen=True, slots=True)
class Paths:
    """The layout above for one data root and one exec root."""

    data_root: Path
    exec_root: Path

    @property
    def lock(self) -> Path:
        return self.data_root / "lock"

    @property
    def database(self) -> Path:
        return self.data_root / "state.db"

    @property
    def blobs(self) -> Path:
        return self.data_root / "blobs"

    @property
    def ingest(self) -> Path:
        return self.data_root / "ingest"

    @property
    def snapshots(self) -> Path:
        return self.data_root / "snapshots"

    @property
    def containers(self) -> Path:
        return self.data_root / "containers"

    @property
    def volumes(self) -> Path:
        return self.data_root / "volumes"

    @property
    def tmp(self) -> Path:
        return self.data_root / "tmp"

    @property
    def builds(self) -> Path:
        return self.data_root / "builds"

    @property
    def build_views(self) -> Path:
        """Where builds mount layers to read them."""
        return self.exec_root / "builds"

    @property
    def pidfile(self) -> Path:
        return self.exec_root / "pierd.pid"

    @property
    def bundles(self) -> Path:
        return self.exec_root / "containers"

    @property
    def layer_mounts(self) -> Path:
        """Where layers are mounted on kernels whose overlayfs needs that; else not made."""
        return self.exec_root / "layers"

    @property
    def exits(self) -> Path:
        return self.exec_root / "exits"

    @property
    def runtime_root(self) -> Path:
        return self.exec_root / "crun"

    def container(self, container_id: str) -> Path:
        """The durable directory of one container."""
        return self.containers / container_id

    def bundle(self, container_id: str) -> Path:
        """The bundle of the container's current start."""
        return self.bundles / container_id

    def rootfs(self, container_id: str) -> Path:
        """Where the container's snapshot is mounted while it is in use."""
        return self.bundles / container_id / "rootfs"

    def exec_dir(self, container_id: str, exec_id: str) -> Path:
        return self.bundles / container_id / "execs" / exec_id

    def create(self) -> None:
        """Make the directories that every part may rely on. Idempotent."""
        for path, mode in (
            (self.data_root, 0o710),
            (self.blobs / "sha256", 0o700),
            (self.ingest, 0o700),
            (self.snapshots, 0o710),
            (self.containers, 0o710),
            (self.volumes, 0o711),
            (self.tmp, 0o700),
            (self.exec_root, 0o711),
            (self.bundles, 0o711),
            (self.exits, 0o700),
            (self.runtime_root, 0o700),
        ):
            path.mkdir(mode=mode, parents=True, exist_ok=True)
