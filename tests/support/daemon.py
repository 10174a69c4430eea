"""A private pierd: own data root, exec root, socket and bridge, beside whatever else runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.http import Api
from support.leaks import Census, kill_monitors, unmount_below


class Pierd:
    """Start, stop, kill and start again. Containers outlive ``stop`` and ``kill9``."""

    def __init__(
        self,
        name: str = "e2e",
        *,
        extra: Sequence[str] = (),
        config: Mapping[str, object] | None = None,
        hosts: Sequence[str] = (),
    ) -> None:
        # Short, because conmon's sockets lie below and a unix path ends at 107 bytes;
        # /var/tmp and not /tmp, because a tmpfs takes no overlay upper directory with xattrs.
        self.base = Path(tempfile.mkdtemp(prefix=f"pier-{name}-", dir="/var/tmp"))
        self.data_root = self.base / "data"
        self.exec_root = self.base / "exec"
        self.socket = self.base / "pierd.sock"
        self.log = self.base / "pierd.log"
        self.bridge = f"pt{os.getpid() % 100000}{name[:4]}"[:15]
        self.host = f"unix://{self.socket}"
        self.hosts = [self.host, *hosts]
        self.extra = list(extra)
        self.config_file = self.base / "daemon.json"
        import json

        self.config_file.write_text(json.dumps(dict(config or {})))
        self.process: subprocess.Popen[bytes] | None = None
        self.api = Api(self.host)
        self.census = Census(self.base, self.bridge)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def argv(self) -> list[str]:
        hosts = [part for host in self.hosts for part in ("-H", host)]
        return [
            *(sys.executable, "-I", "-m", "pierhead.daemon"),
            *("--config-file", str(self.config_file)),
            *("--data-root", str(self.data_root), "--exec-root", str(self.exec_root)),
            *("--pidfile", str(self.base / "pierd.pid")),
            *("--bridge", self.bridge),
            *hosts,
            *self.extra,
        ]

    def start(self, *, timeout_s: float = 20) -> None:
        """Start and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if self.api.get("/_ping", timeout_s=5).status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise AssertionError(f"pierd ended with {self.process.returncode}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"pierd does not answer\n{self.tail()}")
            time.sleep(0.02)

    def stop(self, *, timeout_s: float = 20) -> None:
        """SIGTERM, as systemd does; containers stay."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(
                    f"pierd did not stop within {timeout_s} s\n{self.tail()}"
                ) from None

    def kill9(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def remove_all_containers(self) -> None:
        for container in self.api.get("/containers/json?all=1").json:
            self.api.delete(f"/containers/{container['Id']}?force=1&v=1", timeout_s=60)

    def destroy(self) -> None:
        """End everything, by force where it must be, and remove every trace."""
        try:
            if self.process is not None and self.process.poll() is None:
                self.remove_all_containers()
        except (OSError, AssertionError, ValueError):
            pass
        finally:
            try:
                self.stop()
            finally:
                kill_monitors(self.base)
                unmount_below(self.base)
                subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)
                shutil.rmtree(self.base, ignore_errors=True)
