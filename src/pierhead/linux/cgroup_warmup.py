"""Taking the kernel's wait out of the first cgroup change after a pause.

Moving a process into a group takes a lock whose writers wait for an RCU grace period, 8 to
16 ms, unless somebody took it within the last 20 ms or so (kernel/rcu/sync.c keeps it in
the fast state that long). A container start or an exec always runs into that wait, in the
middle of its critical path. So when a request arrives that will end in one, we take the
lock at once, in a thread: writing our own pid into the group it is in changes nothing, and
the wait passes while names are resolved and the network is made. Mounting with
``favordynmods`` would have the same effect for the whole host and for good, at the cost
of every fork and exit; that's the administrator's to choose.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from pierhead.linux.cgroups import Layout

_FRESH_S: Final = 0.004


class CgroupWarmup:
    """``warm`` costs the caller some 20 µs, whatever the kernel does."""

    def __init__(self, layout: Layout) -> None:
        self._target = own_procs_file(layout)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="cgroup-warmup")
        self._busy = False
        self._done_s = 0.0

    def warm(self) -> None:
        """Have the lock ready shortly. Never fails, never waits."""
        if self._target is None or self._busy or time.monotonic() - self._done_s < _FRESH_S:
            return
        self._busy = True
        self._executor.submit(self._take)

    def _take(self) -> None:
        try:
            with suppress(OSError):
                fd = os.open(str(self._target), os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.write(fd, str(os.getpid()).encode())
                finally:
                    os.close(fd)
        finally:
            self._done_s = time.monotonic()
            self._busy = False

    def close(self) -> None:
        self._executor.shutdown(wait=False)


def own_procs_file(layout: Layout, text: str | None = None) -> Path | None:
    """The cgroup.procs of the group this process is in; of one hierarchy, the lock is common.

    ``text``: what /proc/self/cgroup says (cgroups(7)), ``hierarchy:controllers:path`` lines.
    """
    if text is None:
        text = Path("/proc/self/cgroup").read_text()
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            directory = layout.directory(name.removeprefix("name="), path)
            if directory is not None and (controllers or layout.version == "v2"):
                return directory / "cgroup.procs"
    return None
