"""Docker's own daemon, Debian 12's 20.10, private: the measure of what pierd makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from support.leaks import unmount_below

START_S = 120
PROGRAM = shutil.which("dockerd") or "/usr/sbin/dockerd"


class Dockerd:
    """No bridge and no firewall rules: steps that need a network are given the host's."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="pier-dockerd-", dir="/var/tmp"))
        self.host = f"unix://{self.base}/sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.base / "daemon.json").write_text("{}")
        argv = [
            *(PROGRAM, "--config-file", str(self.base / "daemon.json")),
            *("--data-root", str(self.base / "data"), "--exec-root", str(self.base / "exec")),
            *("--pidfile", str(self.base / "pid"), "-H", self.host),
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        socket = self.base / "sock"
        while not (socket.exists() and b"API listen on" in self.log.read_bytes()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"dockerd did not start\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    @property
    def log(self) -> Path:
        return self.base / "log"

    def destroy(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        unmount_below(self.base)
        shutil.rmtree(self.base, ignore_errors=True)


def need() -> None:
    """Skip unless this machine has the version whose results are the measure."""
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip("no dockerd on this machine")
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout
    if not said.startswith("Docker version 20.10"):
        pytest.skip(f"another dockerd than 20.10: {said.strip()}")
