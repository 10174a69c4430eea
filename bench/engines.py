"""The engines that are compared: how each is started privately, asked, and taken away again."""

from __future__ import annotations

import http.client
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKER = next(
    (p for p in ("/usr/bin/docker", shutil.which("docker")) if p and os.access(p, os.X_OK)), ""
)


def quiet(*argv: str, check: bool = True, timeout_s: float = 120, **more: object) -> str:
    """Run to the end; standard output."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, **more)  # type: ignore[call-overload]
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr}")
    return str(done.stdout)


def seconds(argv: Sequence[str]) -> float:
    """Wall time of one command, which has to succeed."""
    begin = time.perf_counter()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
    spent = time.perf_counter() - begin
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace')[-500:]}")
    return spent


class UnixConnection(http.client.HTTPConnection):
    """A connection to an API socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def busybox_tar() -> bytes:
    """The same root file system for every engine, around the host's static busybox."""
    program = shutil.which("busybox")
    assert program, "busybox-static is missing"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "etc", "root", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(program, "bin/busybox")
        for applet in ("sh", "true", "sleep", "cat", "echo"):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        users = b"root:x:0:0:root:/root:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(users)
        tar.addfile(entry, io.BytesIO(users))
    return out.getvalue()


def descendants(pid: int) -> list[int]:
    """``pid`` and all that come from it."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = int(
                    Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()[1]
                )
            except (OSError, IndexError):
                continue
    found = [pid]
    for candidate in found:
        found += [child for child, parent in parents.items() if parent == candidate]
    return found


def pss_kb(pid: int) -> int:
    """Proportional set size in kB: shared pages counted by share."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def rss_kb(pid: int) -> int:
    """Resident set size in kB: shared pages counted in full."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Engine:
    """One engine with the image ``busybox``; ``cli`` is the command line that is measured."""

    name = ""
    cli: Sequence[str] = ()

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def daemon_pids(self) -> list[int]:
        """The processes that are the engine itself, without containers and their monitors."""
        return []

    def load_image(self) -> None:
        quiet_input = subprocess.run(
            [*self.cli, "import", "-c", 'CMD ["sh"]', "-", "busybox:latest"],
            input=busybox_tar(),
            capture_output=True,
        )
        assert quiet_input.returncode == 0, quiet_input.stderr

    def remove(self, *full_ids: str) -> None:
        """By one command, by force and at once."""
        self.run("rm", "-f", *full_ids, timeout_s=600)

    def run(self, *args: str, check: bool = True, timeout_s: float = 120) -> str:
        return quiet(*self.cli, *args, check=check, timeout_s=timeout_s)

    def remove_everything(self) -> None:
        ids = self.run("ps", "-aq", check=False).split()
        for start in range(0, len(ids), 50):
            self.run("rm", "-f", *ids[start : start + 50], check=False, timeout_s=600)


class Daemon(Engine):
    """An engine with a process of ours behind it, below a directory of its own."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix=f"pb-{self.name[:4]}-", dir="/var/tmp"))
        self.socket = self.base / "sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.bridge = f"pb{os.getpid() % 100000}{self.name[0]}"

    def argv(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        with (self.base / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.argv(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while True:
            done = subprocess.run([*self.cli, "version"], capture_output=True)
            if done.returncode == 0:
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.name} did not start:\n{(self.base / 'log').read_text()[-3000:]}"
                )
            time.sleep(0.1)
        self.load_image()

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.remove_everything()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            target = line.split()[4]
            if target.startswith(f"{self.base}/"):
                subprocess.run(["umount", "-l", target], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)
        shutil.rmtree(self.base, ignore_errors=True)


class Pierd(Daemon):
    """Our daemon. Measured twice: with pier, and with the stock docker command line."""

    name = "pierd"

    def __init__(self) -> None:
        super().__init__()
        main = ROOT / "src" / "pierhead" / "cli" / "__main__.py"
        # what ./quickstart puts on the PATH: an sh line that execs python -IS
        self.pier = self.base / "pier"
        self.pier.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {main} "$@"\n')
        self.pier.chmod(0o755)
        self.cli = (str(self.pier), "-H", f"unix://{self.socket}")

    def argv(self) -> list[str]:
        (self.base / "daemon.json").write_text("{}")
        return [
            *(sys.executable, "-I", "-m", "pierhead.daemon"),
            *("--config-file", str(self.base / "daemon.json")),
            *("--data-root", str(self.base / "data"), "--exec-root", str(self.base / "exec")),
            *("--pidfile", str(self.base / "pid"), "--bridge", self.bridge),
            *("-H", f"unix://{self.socket}"),
        ]

    def daemon_pids(self) -> list[int]:
        assert self.process is not None
        return [p for p in descendants(self.process.pid) if not is_of_a_container(p)]

    def monitor_pids(self) -> list[int]:
        assert self.process is not None
        return [p for p in descendants(self.process.pid) if name_of(p) == "conmon"]


class PierdByDocker(Engine):
    """The same pierd, asked by the stock docker command line."""

    name = "pierd+docker"

    def __init__(self, pierd: Pierd) -> None:
        self.cli = (DOCKER, "-H", f"unix://{pierd.socket}")


class Dockerd(Daemon):
    """Debian's dockerd with a containerd of its own, on a bridge of its own."""

    name = "dockerd"

    def __init__(self) -> None:
        super().__init__()
        self.cli = (DOCKER, "-H", f"unix://{self.socket}")
        self.rules = ""

    def argv(self) -> list[str]:
        (self.base / "daemon.json").write_text("{}")
        quiet("ip", "link", "add", self.bridge, "type", "bridge")
        quiet("ip", "addr", "add", "172.30.99.1/24", "dev", self.bridge)
        quiet("ip", "link", "set", self.bridge, "up")
        return [
            *("dockerd", "--config-file", str(self.base / "daemon.json")),
            *("--data-root", str(self.base / "data"), "--exec-root", str(self.base / "exec")),
            *("--pidfile", str(self.base / "pid"), "--bridge", self.bridge),
            *("-H", f"unix://{self.socket}"),
        ]

    def daemon_pids(self) -> list[int]:
        assert self.process is not None
        return [p for p in descendants(self.process.pid) if not is_of_a_container(p)]


class Podman(Engine):
    """No daemon; a storage of its own."""

    name = "podman"

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="pbp", dir="/var/tmp"))
        self.cli = (
            *("podman", "--root", str(self.base / "r"), "--runroot", str(self.base / "n")),
            *("--storage-driver", "overlay"),
        )

    def start(self) -> None:
        # podman asks for more open files than some machines allow, and fails
        conf = self.base / "containers.conf"
        conf.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
        os.environ["CONTAINERS_CONF"] = str(conf)
        self.load_image()

    def remove(self, *full_ids: str) -> None:
        self.run(
            "rm", "-f", "-t", "0", *full_ids, timeout_s=600
        )  # it would wait ten seconds for a polite end

    def remove_everything(self) -> None:
        self.run("rm", "-f", "-a", "-t", "0", check=False, timeout_s=600)

    def stop(self) -> None:
        self.remove_everything()
        os.environ.pop("CONTAINERS_CONF", None)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            target = line.split()[4]
            if target.startswith(f"{self.base}/"):
                subprocess.run(["umount", "-l", target], capture_output=True)
        shutil.rmtree(self.base, ignore_errors=True)


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def is_of_a_container(pid: int) -> bool:
    """A monitor, or a process in a PID namespace that is not ours."""
    if name_of(pid) in ("conmon", "crun", "runc") or name_of(pid).startswith("containerd-sh"):
        return True
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    except OSError:
        return True
