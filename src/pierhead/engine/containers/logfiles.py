"""The files of one container's log, and their rotation.

::

    container.log        conmon appends here
    container.log.held   a second name (hard link) of the same file
    container.log.1 ...  older ones, 1 the newest

conmon itself starts a new file when the size is reached (``--log-size-max``: it renames an
empty file over ``container.log``), so the disk is bounded even while pierd is away. The
hard link keeps the old content; we see the rename (inotify), shift the numbers and link
anew. Nothing polls, and nothing wakes up for ordinary output. Should conmon fill a whole
file before we have linked it, that one is lost; then the older ones are dropped as well,
so that a log never has a hole. Sizes below ``MIN_FILE_BYTES``, which invite that, are
rounded up.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.logoptions import LogOptions, parse_log_options
from pierhead.linux.inotify import IN_MOVED_TO, Inotify

log = logging.getLogger(__name__)

NAME: Final = "container.log"
MIN_FILE_BYTES: Final = 1 << 20


def options_of(container: Container) -> LogOptions:
    """The container's log options; validated at create."""
    config = container.record.host_config.log_config
    return parse_log_options(config.type or "json-file", config.config)


def prepare_log(ctx: Context, container: Container) -> Path | None:
    """Make the log ready for a start; its path, or None if none is kept."""
    options = options_of(container)
    if not options.keep:
        return None
    directory = ctx.paths.container(container.id)
    directory.mkdir(mode=0o710, parents=True, exist_ok=True)
    path = directory / NAME
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
    if options.max_size_bytes > 0:
        hold(directory, options.max_files)
        watch_log(ctx, container, directory, options.max_files)
    return path


def watch_log(ctx: Context, container: Container, directory: Path, max_files: int) -> None:
    """Shift the files whenever conmon has begun a new one."""
    if container.log_watch is not None:
        return

    def renamed(_mask: int, name: str) -> None:
        if name == NAME and not hold(directory, max_files):
            drop_older(directory)  # two renames, one new file: one in between is lost

    try:
        container.log_watch = inotify(ctx).watch(directory, IN_MOVED_TO, renamed)
    except OSError as error:
        # Out of watches: the log stays bounded, only its older part may get lost.
        log.warning("can't watch the log: %s", error, extra={"container": container.id})


def unwatch_log(container: Container) -> None:
    if container.log_watch is not None:
        container.log_watch.close()
        container.log_watch = None


def inotify(ctx: Context) -> Inotify:
    """The process's one inotify, made on first use."""
    if ctx.inotify is None:
        ctx.inotify = Inotify()
    return ctx.inotify


def file_limit_bytes(options: LogOptions) -> int:
    """What conmon is told; 0 for no limit."""
    return max(options.max_size_bytes, MIN_FILE_BYTES) if options.max_size_bytes > 0 else 0


def drop_older(directory: Path) -> None:
    """Delete every file but the current one."""
    for path in chain(directory)[:-1]:
        path.unlink(missing_ok=True)


def hold(directory: Path, max_files: int) -> bool:
    """If ``container.log`` is a new file, shift the held one away and link the new one.

    Idempotent; returns whether there was a new file.
    """
    current, held = directory / NAME, directory / f"{NAME}.held"
    try:
        current_inode = current.stat().st_ino
    except FileNotFoundError:
        return False
    try:
        if held.stat().st_ino == current_inode:
            return False
    except FileNotFoundError:
        pass
    else:
        keep = max_files - 1
        if keep <= 0:
            held.unlink(missing_ok=True)
        else:
            for number in range(keep, 1, -1):
                with suppress(FileNotFoundError):
                    os.replace(directory / f"{NAME}.{number - 1}", directory / f"{NAME}.{number}")
            os.replace(held, directory / f"{NAME}.1")
    with suppress(FileExistsError, FileNotFoundError):
        os.link(current, held)
    return True


def chain(directory: Path) -> list[Path]:
    """The files that exist, oldest first; each content once."""
    numbered = []
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    for name in names:
        number = name.removeprefix(f"{NAME}.")
        if name.startswith(f"{NAME}.") and number.isdigit():
            numbered.append((int(number), directory / name))
    found = [path for _, path in sorted(numbered, reverse=True)]
    held, current = directory / f"{NAME}.held", directory / NAME
    inodes = {path.stat().st_ino for path in found if path.exists()}
    if current.exists():
        inodes.add(current.stat().st_ino)
    if held.exists() and held.stat().st_ino not in inodes:
        found.append(held)  # rotated this moment, not shifted yet
    if current.exists():
        found.append(current)
    return found
