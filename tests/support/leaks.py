"""What a pierd may leave on the machine, counted, so that tests can fail on leftovers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path


def _processes() -> dict[int, str]:
    """pid -> command line, arguments joined by blanks."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                line = Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue
            if line:
                found[int(entry)] = line.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def mounts_below(base: Path) -> list[str]:
    prefix = str(base) + "/"
    return [
        line.split()[4]
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if line.split()[4].startswith(prefix)
    ]


def unmount_below(base: Path) -> None:
    for target in sorted(mounts_below(base), reverse=True):
        subprocess.run(["umount", "-l", target], capture_output=True)


def monitors(base: Path) -> dict[int, str]:
    """conmon and crun processes that were told of a path below ``base``."""
    return {
        pid: line
        for pid, line in _processes().items()
        if f"{base}/" in line and re.match(r"\S*(conmon|crun|runc)\b", line)
    }


def kill_monitors(base: Path) -> None:
    """SIGKILL for the monitors of one private daemon and all that descends from them."""
    victims = set(monitors(base))
    grown = True
    while grown:
        grown = False
        for pid in _processes():
            if pid not in victims and _parent(pid) in victims:
                victims.add(pid)
                grown = True
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def veths(bridge: str) -> set[str]:
    """Interfaces plugged into ``bridge``: one per running container on it."""
    done = subprocess.run(
        ["ip", "-o", "link", "show", "master", bridge], capture_output=True, text=True
    )
    return {line.split(":")[1].strip().split("@")[0] for line in done.stdout.splitlines()}


def cgroups(ids: set[str]) -> list[str]:
    """Cgroup directories named after one of the containers ``ids``."""
    found = []
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        for name in list(folders):
            if any(container in name for container in ids):
                found.append(os.path.join(root, name))
                folders.remove(name)
    return found


def nft_elements(bridge: str) -> set[str]:
    """Elements of the maps and sets of one pierd's table: bridges, subnets, published ports."""
    table = "pierhead" if bridge == "pier0" else f"pierhead_{bridge}"
    done = subprocess.run(
        ["nft", "-n", "list", "table", "ip", table], capture_output=True, text=True
    )
    found: set[str] = set()
    for block in re.findall(r"elements = \{(.*?)\}", done.stdout, re.S):
        found |= {element.strip() for element in block.split(",")}
    return found


class Census:
    """A count at one moment; ``leftovers`` names what is there now and was not then."""

    def __init__(self, base: Path, bridge: str) -> None:
        self.base = base
        self.bridge = bridge
        self.take()

    def take(self) -> None:
        self.mounts = set(mounts_below(self.base))
        self.monitors = set(monitors(self.base))
        self.veths = veths(self.bridge)
        self.elements = nft_elements(self.bridge)

    def leftovers(self, ids: set[str] = frozenset(), *, wait_s: float = 5) -> list[str]:
        """Empty when clean. Waits: the kernel takes namespaces down behind our back."""
        deadline = time.monotonic() + wait_s
        while True:
            found = [f"mount {m}" for m in sorted(set(mounts_below(self.base)) - self.mounts)]
            found += [
                f"process {pid}: {line[:200]}"
                for pid, line in monitors(self.base).items()
                if pid not in self.monitors
            ]
            found += [f"interface {name}" for name in sorted(veths(self.bridge) - self.veths)]
            found += [f"cgroup {path}" for path in cgroups(ids)] if ids else []
            found += [f"nft {e}" for e in sorted(nft_elements(self.bridge) - self.elements)]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)
