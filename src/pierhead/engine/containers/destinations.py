"""Where a mount's destination is inside a root file system, symlinks resolved.

Runtimes refuse a destination below a symlink that leads nowhere yet (``/out -> /tmp/x`` and
``-v src:/out/sub``), Docker makes it. Done before anything runs in the container, component
by component, so that no symlink is ever followed on the host.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pierhead.errors import InvalidParameter

MAX_LINKS: Final = 40  # as the kernel's


def resolve_destination(rootfs: Path, destination: str) -> str:
    """The absolute path inside ``rootfs``; parts that don't exist are kept as they are.

    Raises ``InvalidParameter`` for a loop of symlinks.
    """
    root = os.fspath(rootfs)
    todo = [part for part in destination.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if done:
                done.pop()
            continue
        try:
            target = os.readlink("/".join([root, *done, part]))
        except OSError:  # no symlink, or not there
            done.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            raise InvalidParameter(
                f"invalid mount path: '{destination}' has too many levels of symbolic links"
            )
        if target.startswith("/"):
            done = []
        todo += [piece for piece in target.split("/") if piece not in ("", ".")][::-1]
    return "/" + "/".join(done)
