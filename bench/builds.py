"""Builds side by side: pierd by pier and by the stock docker, dockerd's two builders, buildah.

The bars are issue 4's. Every engine builds the same Dockerfiles on the same base; the
samples are taken in turn. dockerd's classic builder and its BuildKit are the same daemon
asked in two ways.
"""

from __future__ import annotations

import http.client
import io
import os
import random
import re
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.engines import (
    Dockerd,
    Engine,
    Pierd,
    PierdByDocker,
    UnixConnection,
    busybox_tar,
    quiet,
)
from bench.table import Table

FILES = 10_000
SIZE_BYTES = 300_000_000
STAGE_S = 2.0
_TEN = "FROM busybox\n" + "".join(f"RUN echo {n}\n" for n in range(10))
_ALL = "FROM busybox\nCOPY . /all\n"
_STAGES = "".join(
    f"FROM busybox AS s{n}\nRUN sleep {STAGE_S:g} && echo {n} > /out{n}\n" for n in range(4)
)
_STAGES += "FROM busybox\n" + "".join(f"COPY --from=s{n} /out{n} /out{n}\n" for n in range(4))
_APT = (
    "apt-get update -q && apt-get install -qy --no-install-recommends nginx git python3 "
    "&& apt-get clean"
)


@dataclass
class Builder:
    """One way to build: an engine, its command, and what its output says."""

    name: str
    engine: Engine
    build: Sequence[str]
    no_cache: str = "--no-cache"
    environment: Mapping[str, str] = field(default_factory=dict)
    first_step: str = ""
    """What a line begins with when the context is in; a regular expression."""

    def argv(self, context: Path, *options: str) -> list[str]:
        return [*self.build, *options, str(context)]

    def seconds(self, context: Path, *options: str, until_first_step: bool = False) -> float:
        """Wall time of a build, which has to succeed; or of its part before the first step."""
        begin = time.perf_counter()
        with subprocess.Popen(
            self.argv(context, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.environment},
        ) as process:
            assert process.stdout is not None
            said, first, vertex = [], 0.0, ""
            pattern = re.compile(self.first_step) if self.first_step else None
            for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip()
                said.append(line)
                if pattern is None or first:
                    continue
                if "load build context" in line:
                    vertex = line.split()[0]
                done = vertex and line.startswith((f"{vertex} DONE", f"{vertex} CACHED"))
                if done or pattern.match(line):
                    first = time.perf_counter() - begin
        if process.returncode != 0:
            raise RuntimeError(
                f"{self.name}: {' '.join(self.argv(context, *options))}: {said[-20:]}"
            )
        return first if until_first_step else time.perf_counter() - begin


class Buildah(Engine):
    """No daemon; a storage of its own."""

    name = "buildah"

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="pbb", dir="/var/tmp"))
        self.cli = (
            *("buildah", "--root", str(self.base / "r"), "--runroot", str(self.base / "n")),
            *("--storage-driver", "overlay"),
        )

    def start(self) -> None:
        (self.base / "rootfs.tar").write_bytes(busybox_tar())
        container = self.run("from", "scratch").strip()
        self.run("add", container, str(self.base / "rootfs.tar"), "/")
        self.run("config", "--cmd", "sh", container)
        self.run("commit", container, "localhost/busybox:latest")
        self.run("rm", container)

    def stop(self) -> None:
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            target = line.split()[4]
            if target.startswith(f"{self.base}/"):
                subprocess.run(["umount", "-l", target], capture_output=True)
        shutil.rmtree(self.base, ignore_errors=True)


def builders(engines: Sequence[Engine], buildah: Buildah | None) -> list[Builder]:
    """All ways that this machine has."""
    found: list[Builder] = []
    for engine in engines:
        classic = {"DOCKER_BUILDKIT": "0"}
        if isinstance(engine, Pierd):
            command = (*engine.cli, "build", "--progress", "plain")
            found.append(Builder("pierd", engine, command, first_step=r"(?!)"))
        elif isinstance(engine, PierdByDocker):
            command = (*engine.cli, "build")
            found.append(
                Builder("pierd+docker", engine, command, "--no-cache", classic, r"Step 1/")
            )
        elif isinstance(engine, Dockerd):
            command = (*engine.cli, "build")
            found.append(Builder("dockerd", engine, command, "--no-cache", classic, r"Step 1/"))
            found.append(
                Builder(
                    "BuildKit", engine, (*command, "--progress", "plain"), "--no-cache",
                    {"DOCKER_BUILDKIT": "1"}, r"(?!)",
                )
            )  # fmt: skip
    if buildah is not None:
        command = (*buildah.cli, "bud", "--layers", "--isolation", "oci")
        found.append(Builder("buildah", buildah, command, first_step=r"STEP 2/"))
    return found


def interleave(
    ways: Sequence[Builder], samples: int, context: Path, *options: str
) -> dict[str, float]:
    """Median seconds of the build by each way, taken in turn."""
    taken: dict[str, list[float]] = {way.name: [] for way in ways}
    for way in ways:
        way.seconds(context, *options)
    for _ in range(samples):
        for way in ways:
            taken[way.name].append(way.seconds(context, *options))
    return {name: statistics.median(values) for name, values in taken.items()}


def in_daemon_ms(socket: Path, context: Path, samples: int) -> float:
    """Milliseconds of ``POST /build`` with a small context, without any client's start."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        tar.add(context, ".")
    taken = []
    for _ in range(samples + 1):
        connection: http.client.HTTPConnection = UnixConnection(socket)
        begin = time.perf_counter()
        connection.request(
            "POST", "/v1.41/build?t=bench", body.getvalue(), {"Content-Type": "application/x-tar"}
        )
        said = connection.getresponse().read()
        taken.append((time.perf_counter() - begin) * 1000)
        connection.close()
        if b"Successfully built" not in said:
            raise RuntimeError(said[-500:].decode(errors="replace"))
    return statistics.median(taken[1:])


def dockerfile(base: Path, name: str, text: str) -> Path:
    context = base / name
    context.mkdir()
    (context / "Dockerfile").write_text(text)
    return context


def large_context(base: Path) -> Path:
    """10,000 files, 300 MB: most of them small, as source trees are."""
    context = dockerfile(base, "large", _ALL)
    source = random.Random(4)
    block = source.randbytes(1 << 20)
    for number in range(FILES):
        folder = context / f"d{number % 100:02}"
        folder.mkdir(exist_ok=True)
        size = (SIZE_BYTES // 2 // FILES) if number % 100 else (SIZE_BYTES // 2 // (FILES // 100))
        start = source.randrange(len(block) // 2)
        data = (block[start:] + block) * (size // len(block) + 1)
        (folder / f"f{number}").write_bytes(data[:size])
    return context


def measure(table: Table, engines: Sequence[Engine], quick: bool) -> None:
    """All rows; ``table`` is the main module's."""
    buildah = Buildah() if shutil.which("buildah") else None
    base = Path(tempfile.mkdtemp(prefix="pb-builds-", dir="/var/tmp"))
    try:
        if buildah is not None:
            try:
                buildah.start()
            except RuntimeError as error:
                print(f"  left out: buildah: {str(error)[:500]}")
                buildah.stop()
                buildah = None
        ways = builders(engines, buildah)
        _rows(table, ways, base, 2 if quick else 5)
    finally:
        if buildah is not None:
            buildah.stop()
        shutil.rmtree(base, ignore_errors=True)


def _rows(table: Table, ways: list[Builder], base: Path, samples: int) -> None:
    ten = dockerfile(base, "ten", _TEN)
    figures = interleave(ways, samples, ten, "--no-cache")
    best = min(figures["pierd"], figures.get("pierd+docker", figures["pierd"]))
    table.add("ten `RUN echo`, nothing cached", figures, "s", "at most 0.6", best <= 0.6)
    figures = interleave(ways, samples * 2, ten)
    table.add("... all cached, client included", figures, "s")
    daemons = {
        way.name: in_daemon_ms(way.engine.socket, ten, samples * 4)
        for way in ways
        if isinstance(way.engine, Pierd | Dockerd) and way.name != "BuildKit"
    }
    met = daemons["pierd"] <= 50
    table.add("... all cached, `POST /build` alone", daemons, "ms", "at most 50 in the daemon", met)

    stages = dockerfile(base, "stages", _STAGES)
    figures = {
        way.name: statistics.median(
            way.seconds(stages, "--no-cache") for _ in range(max(1, samples // 2))
        )
        for way in ways
    }
    table.add(
        f"four independent stages of {STAGE_S:g} s", figures, "s",
        f"at most {1.2 * STAGE_S:g}", figures["pierd"] <= 1.2 * STAGE_S,
    )  # fmt: skip
    _context_rows(table, ways, base, min(samples, 3))
    _apt_row(table, ways, base, 1 if samples < 5 else 3)


def _context_rows(table: Table, ways: list[Builder], base: Path, samples: int) -> None:
    large = large_context(base)
    os.sync()  # who comes first doesn't wait for the context's own way to the disk
    first: dict[str, float] = {}
    for way in ways:
        first[way.name] = way.seconds(large, until_first_step=True)
    table.add(f"context of {FILES:,} files, 300 MB, first time: to the first step", first, "s")
    changed: dict[str, list[float]] = {way.name: [] for way in ways}
    whole: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(samples):
        for way in ways:
            (large / "d07" / "f7").write_bytes(b"%d %s" % (number, way.name.encode()))
            changed[way.name].append(way.seconds(large, until_first_step=True))
            (large / "d07" / "f7").write_bytes(b"again %d %s" % (number, way.name.encode()))
            whole[way.name].append(way.seconds(large))
    figures = {name: statistics.median(values) for name, values in changed.items()}
    met = figures["dockerd"] / figures["pierd"] >= 3 if "dockerd" in figures else None
    table.add("... one file changed: to the first step", figures, "s", "3 × dockerd", met)
    table.add(
        "... one file changed: the whole build (`COPY . /all`)",
        {name: statistics.median(values) for name, values in whole.items()},
        "s",
    )
    same: dict[str, float] = {}
    for way in ways:
        way.seconds(large)  # the others' changes
        same[way.name] = statistics.median(way.seconds(large) for _ in range(samples))
    table.add("... unchanged: the whole build", same, "s")


def _apt_row(table: Table, ways: list[Builder], base: Path, samples: int) -> None:
    """apt-get install as a step and as a container's command, on pierd alone, in turn."""
    pierd = next(way for way in ways if way.name == "pierd")
    try:
        pierd.engine.run("image", "bootstrap", "debian:bookworm", timeout_s=600)
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(f"  left out: apt-get install: {str(error)[-300:]}")
        return
    context = dockerfile(base, "apt", f"FROM debian:bookworm\nRUN {_APT}\n")
    steps, plain = [], []
    for _ in range(samples):
        begin = time.perf_counter()
        pierd.engine.run("run", "--rm", "debian:bookworm", "sh", "-c", _APT, timeout_s=600)
        plain.append(time.perf_counter() - begin)
        steps.append(pierd.seconds(context, "--no-cache"))
    step, command = statistics.median(steps), statistics.median(plain)
    table.add("`RUN apt-get install nginx git python3` on Debian", {"pierd": step}, "s")
    table.add(
        f"... ÷ the same in `run --rm` ({command:.1f} s)", {"pierd": step / command}, "×",
        "at most 1.1", step / command <= 1.1,
    )  # fmt: skip


def versions() -> str:
    """What else takes part."""
    found = [quiet("buildah", "--version").strip()] if shutil.which("buildah") else []
    return ", ".join(found)
