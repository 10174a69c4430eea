"""Side by side in one run, interleaved, so that a busy moment hits all alike.

``bench/run`` prints the table and writes it to ``docs/benchmarks.md``; ``--quick`` takes
fewer samples and writes nothing. Every engine has its own data, socket and bridge, and is
gone at the end.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from bench import builds, registries
from bench.engines import (
    DOCKER,
    Dockerd,
    Engine,
    Pierd,
    PierdByDocker,
    Podman,
    UnixConnection,
    pss_kb,
    rss_kb,
    seconds,
)
from bench.table import Table

DOC = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def milliseconds(argv: Sequence[str]) -> float:
    """Wall time of one command, which has to succeed."""
    return seconds(argv) * 1000


def interleave(engines: Sequence[Engine], samples: int, *args: str) -> dict[str, float]:
    """Median milliseconds of the command on each engine, taken in turn."""
    taken: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for engine in engines:  # one each to warm up
        milliseconds([*engine.cli, *args])
    for _ in range(samples):
        for engine in engines:
            taken[engine.name].append(milliseconds([*engine.cli, *args]))
    return {name: statistics.median(values) for name, values in taken.items()}


def crowd(engine: Engine, count: int, at_once: int) -> tuple[float, list[str]]:
    """Seconds to start ``count`` detached containers, ``at_once`` clients at a time."""

    def one(_: int) -> str:
        return engine.run("run", "-d", "busybox", "sleep", "100000").strip()

    begin = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        ids = list(pool.map(one, range(count)))
    return time.perf_counter() - begin, ids


def clear(engine: Engine, ids: list[str], at_once: int) -> float:
    """Seconds to remove them by force, likewise."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(engine.remove, ids))
    return time.perf_counter() - begin


def memory_mb(pids: list[int]) -> float:
    return sum(pss_kb(pid) for pid in pids) / 1024


def resident_mb(pids: list[int]) -> float:
    return sum(rss_kb(pid) for pid in pids) / 1024


def listing_ms(path: Path, samples: int) -> float:
    """Median milliseconds of GET /containers/json?all=1 on a connection of its own."""
    taken = []
    for _ in range(samples):
        connection = UnixConnection(path)
        begin = time.perf_counter()
        connection.request("GET", "/v1.41/containers/json?all=1")
        connection.getresponse().read()
        taken.append((time.perf_counter() - begin) * 1000)
        connection.close()
    return statistics.median(taken)


def fill(engine: Engine, count: int) -> None:
    """``count`` stopped containers. Created, not run: they weigh the same in the list."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: engine.run("create", "busybox", "true"), range(count)))


def at_least(figures: dict[str, float], times: float) -> bool | None:
    if "dockerd" not in figures:
        return None
    return figures["dockerd"] / figures["pierd"] >= times


def measure(
    table: Table, engines: list[Engine], pierd: Pierd, dockerd: Dockerd | None, quick: bool
) -> None:
    few, many = (5, 10) if quick else (20, 40)

    # memory first: nothing has run yet
    time.sleep(2)
    fresh = {"pierd": memory_mb(pierd.daemon_pids())}
    resident = {"pierd": resident_mb(pierd.daemon_pids())}
    if dockerd is not None:
        fresh["dockerd"] = memory_mb(dockerd.daemon_pids())
        resident["dockerd"] = resident_mb(dockerd.daemon_pids())
    table.add("fresh daemon, PSS (dockerd with containerd)", fresh, "MB")
    table.add("... resident", resident, "MB", "a third of dockerd's", at_least(resident, 3))

    runs = interleave(engines, few, "run", "--rm", "busybox", "true")
    table.add("`run --rm busybox true`, bridge", runs, "ms", "8 × dockerd", at_least(runs, 8))
    if "pierd+docker" in runs:
        # the client's share: pier must not cost what the engine has won
        ratio = runs["pierd"] / runs["pierd+docker"]
        table.add(
            "... pier ÷ stock docker CLI, both on pierd",
            {"pierd": ratio},
            "×",
            "at most 1.3",
            ratio <= 1.3,
        )

    for engine in engines:
        if not isinstance(engine, PierdByDocker):
            engine.run("run", "-d", "--name", "bench-exec", "busybox", "sleep", "100000")
    execs = interleave(engines, few, "exec", "bench-exec", "true")
    table.add("`exec c true`", execs, "ms", "2.5 × dockerd", at_least(execs, 2.5))
    for engine in engines:
        if not isinstance(engine, PierdByDocker):
            engine.run("rm", "-f", "bench-exec")

    versions = interleave(
        [e for e in engines if not isinstance(e, Podman)],
        many,
        "version",
        "--format",
        "{{.Server.Version}}",
    )
    table.add(
        "`version`",
        versions,
        "ms",
        "pier no slower than docker",
        versions["pierd"] <= versions.get("pierd+docker", versions["pierd"]),
    )

    time.sleep(2)
    idle = {"pierd": resident_mb(pierd.daemon_pids())}
    if dockerd is not None:
        idle["dockerd"] = resident_mb(dockerd.daemon_pids())
    table.add(
        "idle daemon after these, resident", idle, "MB", "a third of dockerd's", at_least(idle, 3)
    )

    count = 20 if quick else 100
    started: dict[str, float] = {}
    removed: dict[str, float] = {}
    at_once: dict[str, float] = {}
    crowded: dict[str, float] = {}
    monitors: list[float] = []
    for engine in engines:
        if isinstance(engine, PierdByDocker):
            continue
        started[engine.name], ids = crowd(engine, count, 8)
        time.sleep(1)
        if engine is pierd or engine is dockerd:
            assert isinstance(engine, Pierd | Dockerd)
            crowded[engine.name] = memory_mb(engine.daemon_pids())
        if engine is pierd:
            monitors = [pss_kb(pid) / 1024 for pid in pierd.monitor_pids()]
        removed[engine.name] = clear(engine, ids, 8)
        _, ids = crowd(engine, count, 8)
        begin = time.perf_counter()
        engine.remove(*ids)
        at_once[engine.name] = time.perf_counter() - begin
    table.add(f"{count} detached, 8 at a time", started, "s", "8 × dockerd", at_least(started, 8))
    table.add(
        f"removing these {count}, a client each", removed, "s", "8 × dockerd", at_least(removed, 8)
    )
    table.add(f"removing {count} by one `rm -f`", at_once, "s", "8 × dockerd", at_least(at_once, 8))
    growth = crowded["pierd"] - fresh["pierd"]
    table.add(f"memory of the daemon with {count} running", crowded, "MB")
    table.add("... growth over fresh", {"pierd": growth}, "MB", "at most 5", growth <= 5)
    if monitors:
        each = statistics.mean(monitors)
        table.add("conmon, each (PSS)", {"pierd": each}, "MB", "about 0.35", each <= 0.45)

    stopped = 100 if quick else 1000
    fill(pierd, stopped)
    listing = {"pierd": listing_ms(pierd.socket, many)}
    if dockerd is not None and not quick:
        fill(dockerd, stopped)
        listing["dockerd"] = listing_ms(dockerd.socket, many)
    table.add(
        f"`GET /containers/json?all=1`, {stopped} stopped",
        listing,
        "ms",
        "under 15",
        listing["pierd"] < 15,
    )


def versions_line(engines: Sequence[Engine]) -> str:
    def said(argv: Sequence[str]) -> str:
        done = subprocess.run(argv, capture_output=True, text=True)
        return done.stdout.strip().split("\n")[0]

    parts = [f"CPython {platform.python_version()}", said(["crun", "--version"])]
    if any(engine.name == "dockerd" for engine in engines):
        parts.append(said([DOCKER, "--version"]))
    if any(engine.name == "podman" for engine in engines):
        parts.append(said(["podman", "--version"]))
    return f"Linux {platform.release()}, {os.cpu_count()} cores, " + ", ".join(parts)


def guarded(engine: Engine) -> bool:
    """Start; say why not rather than spoil the run."""
    try:
        engine.start()
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        print(f"  left out: {engine.name}: {str(error)[:500]}")
        engine.stop()
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples; write nothing")
    parser.add_argument("--images", action="store_true", help="registries alone; write nothing")
    parser.add_argument("--builds", action="store_true", help="builds alone; write nothing")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("bench/run needs root", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped then
    pierd = Pierd()
    stops: list[Callable[[], None]] = [pierd.stop]
    engines: list[Engine] = [pierd]
    try:
        pierd.start()
        if DOCKER:
            engines.append(PierdByDocker(pierd))
        dockerd: Dockerd | None = None
        if DOCKER and shutil.which("dockerd"):
            dockerd = Dockerd()
            stops.append(dockerd.stop)
            if guarded(dockerd):
                engines.append(dockerd)
            else:
                dockerd = None
        if shutil.which("podman") and not options.builds:
            podman = Podman()
            stops.append(podman.stop)
            if guarded(podman):
                engines.append(podman)
        table = Table([engine.name for engine in engines])
        if not options.images and not options.builds:
            measure(table, engines, pierd, dockerd, options.quick)
        if not options.builds:
            registries.measure(engines, table, options.quick)
        built = Table(["pierd", "pierd+docker", "dockerd", "BuildKit", "buildah"])
        if not options.images:
            builds.measure(built, engines, options.quick)
    finally:
        for stop in reversed(stops):
            stop()
    print()
    for each in (table, built):
        if each.rows:
            print(each.markdown())
    if not options.quick and not options.images and not options.builds:
        DOC.write_text(
            DOC_HEAD.format(date=datetime.now(UTC).date(), versions=versions_line(engines))
        )
        with DOC.open("a") as out:
            out.write(table.markdown())
            out.write(DOC_TAIL)
            out.write(DOC_BUILDS)
            out.write(built.markdown())
        print(f"written to {DOC}")
    return 0


DOC_HEAD = """# Benchmarks

Written by `bench/run`, {date}: {versions}. All engines in one run, sample by sample in turn;
times are medians of wall time as the shell sees it, the client's start included.

"""

DOC_TAIL = """
`pierd` is Pierhead with `pier`, `pierd+docker` the same daemon asked by the stock docker command
line, `dockerd` Debian's with its own containerd and the same command line, `podman` Debian's. Each
has its own data root and bridge; all run the same image, a root file system around the static
busybox. PSS counts shared pages by share. Stopped containers in the list have been created and
never started.
"""

DOC_BUILDS = """
## Builds

`pierd` is `pier build`, `pierd+docker` the stock command line's classic `docker build` on the same
daemon; `dockerd` its classic builder, `BuildKit` the same with `DOCKER_BUILDKIT=1`, `buildah`
`bud --layers`.

"""

if __name__ == "__main__":
    sys.exit(main())
