"""Images on the move: pull, remove, push, save and load, against one local registry.

The bars are issue 3's. Daemons are the ones of the main run; the registry is Debian's
``docker-registry``, its data below ``/var/tmp``.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import images
from bench.engines import (
    Daemon,
    Engine,
    Pierd,
    PierdByDocker,
    Podman,
    UnixConnection,
    descendants,
    pss_kb,
    quiet,
    seconds,
)

NEEDED = ("docker-registry", "skopeo", "igzip", "curl")


class Registry:
    """A registry of our own on a free port."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="pb-registry-", dir="/var/tmp"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        (self.base / "config.yml").write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.base}/data}}}}\n"
            f"http: {{addr: '{self.host}'}}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(self.base / "config.yml")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("docker-registry did not start")

    def empty(self) -> None:
        """Forget all repositories; it looks at its disk for each request."""
        shutil.rmtree(self.base / "data", ignore_errors=True)

    def fill(self, layout: Path, name: str) -> str:
        target = f"{self.host}/{name}"
        quiet(
            *("skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:latest"),
            f"docker://{target}",
        )
        return target

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
        shutil.rmtree(self.base, ignore_errors=True)


def shell_seconds(command: str) -> float:
    return seconds(["bash", "-o", "pipefail", "-c", command])


def settle() -> None:
    """Let nobody write for the one before: not part of what is measured."""
    os.sync()


def forgotten(pierd: Pierd) -> None:
    """Wait until pierd has collected the compressed layers: the next pull is to fetch them."""
    folder = pierd.base / "data" / "blobs" / "sha256"
    deadline = time.monotonic() + 120
    while any(entry.stat().st_size > 1 << 20 for entry in os.scandir(folder)):
        if time.monotonic() > deadline:
            raise RuntimeError("pierd keeps the layers of a removed image")
        time.sleep(0.1)


def pull_argv(engine: Engine, name: str) -> list[str]:
    insecure = ["--tls-verify=false"] if isinstance(engine, Podman) else []
    return [*engine.cli, "pull", "-q", *insecure, name]


def push_argv(engine: Engine, name: str) -> list[str]:
    insecure = ["--tls-verify=false"] if isinstance(engine, Podman) else []
    return [*engine.cli, "push", *insecure, name]


@contextmanager
def sampling(sample: Callable[[], float], pause_s: float) -> Iterator[list[float]]:
    """Call ``sample`` again and again in a thread; the list fills meanwhile."""
    found: list[float] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(pause_s):
            found.append(sample())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def list_ms(path: Path) -> float:
    connection = UnixConnection(path)
    begin = time.perf_counter()
    connection.request("GET", "/v1.41/containers/json")
    connection.getresponse().read()
    spent = (time.perf_counter() - begin) * 1000
    connection.close()
    return spent


def tree_mb(pid: int) -> float:
    return sum(pss_kb(each) for each in descendants(pid)) / 1024


def measure(engines: list[Engine], table: object, quick: bool) -> None:
    """Add the rows to ``table`` (``bench.__main__.Table``)."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        print(f"  left out: registries: {', '.join(missing)} missing")
        return
    add = table.add  # type: ignore[attr-defined]
    samples = 2 if quick else 5
    takers = [engine for engine in engines if not isinstance(engine, PierdByDocker)]
    pierd = next(engine for engine in engines if isinstance(engine, Pierd))
    layout = images.make(Path("/var/tmp/pierhead-bench-image"))
    registry = Registry()
    try:
        registry.start()
        name = registry.fill(layout, "bench:1")
        _movement(add, takers, pierd, registry, layout, name, samples)
    finally:
        for engine in takers:
            engine.run("rmi", "-f", name, check=False)
        registry.stop()


def _movement(
    add: Callable[..., None],
    takers: list[Engine],
    pierd: Pierd,
    registry: Registry,
    layout: Path,
    name: str,
    samples: int,
) -> None:
    blobs = [
        f"http://{registry.host}/v2/bench/blobs/sha256:{path.name}"
        for path in sorted((layout / "blobs" / "sha256").iterdir())
        if path.stat().st_size > 1 << 20
    ]
    floor_command = "; ".join(f"curl -s {url} | igzip -dc > /dev/null" for url in blobs)
    taken: dict[str, list[float]] = {engine.name: [] for engine in takers}
    removed: dict[str, list[float]] = {engine.name: [] for engine in takers}
    floors: list[float] = []
    for _ in range(samples):
        settle()
        floors.append(shell_seconds(floor_command))
        for engine in takers:
            settle()
            taken[engine.name].append(seconds(pull_argv(engine, name)))
            settle()
            removed[engine.name].append(seconds([*engine.cli, "rmi", name]))
            if engine is pierd:
                forgotten(pierd)
    pulls = {key: statistics.median(values) for key, values in taken.items()}
    gone = {key: statistics.median(values) * 1000 for key, values in removed.items()}
    others = [value for key, value in pulls.items() if key != "pierd"]
    add(
        "pull 370 MB, 13,000 files, 3 layers", pulls, "s", "4 × the faster of the others",
        min(others) / pulls["pierd"] >= 4 if others else None,
    )  # fmt: skip
    floor = statistics.median(floors)
    ratio = pulls["pierd"] / floor
    add(
        f"... ÷ `curl \\| igzip -dc > /dev/null` ({floor:.2f} s)", {"pierd": ratio}, "×",
        "at most 2", ratio <= 2,
    )  # fmt: skip
    others = [value for key, value in gone.items() if key != "pierd"]
    add(
        "remove it", gone, "ms", "20 × the faster of the others",
        min(others) / gone["pierd"] >= 20 if others else None,
    )  # fmt: skip

    assert pierd.process is not None
    pid, idle_mb = pierd.process.pid, tree_mb(pierd.process.pid)
    with sampling(lambda: tree_mb(pid), 0.02) as memory:
        seconds(pull_argv(pierd, name))
    peak = max(memory, default=idle_mb)
    add("peak memory of daemon and workers in a pull (PSS)", {"pierd": peak}, "MB",
        "under 150", peak < 150)  # fmt: skip
    pierd.run("rmi", name)
    forgotten(pierd)
    with sampling(lambda: list_ms(pierd.socket), 0.005) as answers:
        seconds(pull_argv(pierd, name))
    middle = statistics.median(answers)
    add("`GET /containers/json` during a pull, median", {"pierd": middle}, "ms",
        "milliseconds", middle < 15)  # fmt: skip
    add("... slowest", {"pierd": max(answers)}, "ms")

    pushes: dict[str, list[float]] = {engine.name: [] for engine in takers}
    for engine in takers:
        if engine is not pierd:
            seconds(pull_argv(engine, name))
    for _ in range(samples):
        for engine in takers:
            registry.empty()
            settle()
            pushes[engine.name].append(seconds(push_argv(engine, name)))
    pushed = {key: statistics.median(values) for key, values in pushes.items()}
    add("push it to an empty registry", pushed, "s", "2 × dockerd",
        pushed["dockerd"] / pushed["pierd"] >= 2 if "dockerd" in pushed else None)  # fmt: skip

    docker = next((engine for engine in takers if engine.name == "dockerd"), None)
    if docker is None:
        return
    assert isinstance(docker, Daemon)
    loads: dict[str, list[float]] = {"pierd": [], "dockerd": []}
    for _ in range(samples):
        for engine in (pierd, docker):
            archive = docker.base / "image.tar"
            with archive.open("wb") as out:
                subprocess.run([*docker.cli, "save", name], stdout=out, check=True)
            engine.run("rmi", "-f", name)
            settle()
            loads[engine.name].append(seconds([*engine.cli, "load", "-q", "-i", str(archive)]))
            archive.unlink()
    loaded = {key: statistics.median(values) for key, values in loads.items()}
    add("load what `docker save` made", loaded, "s", "no slower than docker load",
        loaded["pierd"] <= loaded["dockerd"])  # fmt: skip
