"""Network namespaces that live as long as a descriptor of ours, and code run inside one.

A namespace is per thread: everything that enters one happens in dedicated threads which
return to the host's before they take the next job.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pierhead.errors import Internal
from pierhead.linux import syscalls as sc

T = TypeVar("T")


class NetnsThread:
    """A few threads that may change their network namespace; one job each at a time."""

    def __init__(self, threads: int = 2) -> None:
        self._home_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._lost = threading.local()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="netns")

    def close(self) -> None:
        self._executor.shutdown(wait=True)
        os.close(self._home_fd)

    async def create(self, setup: Callable[[int], T] | None = None) -> tuple[int, T | None]:
        """See ``create_netns``."""
        return await self._submit(self._create, setup)

    async def run(self, fd: int, function: Callable[[], T]) -> T:
        """See ``run_in_netns``."""
        return await self._submit(self._run, fd, function)

    async def _submit(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    def _create(self, setup: Callable[[int], T] | None) -> tuple[int, T | None]:
        self._check()
        sc.unshare(sc.CLONE_NEWNET)
        try:
            fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return fd, None if setup is None else setup(fd)
            except BaseException:
                os.close(fd)
                raise
        finally:
            self._return()

    def _run(self, fd: int, function: Callable[[], T]) -> T:
        self._check()
        sc.setns(fd, sc.CLONE_NEWNET)
        try:
            return function()
        finally:
            self._return()

    def _return(self) -> None:
        try:
            sc.setns(self._home_fd, sc.CLONE_NEWNET)
        except BaseException:
            self._lost.value = True  # never let it work on the wrong namespace
            raise

    def _check(self) -> None:
        if getattr(self._lost, "value", False):
            raise Internal("a network thread could not return to the host's namespace")


_shared: NetnsThread | None = None


def _threads() -> NetnsThread:
    global _shared
    if _shared is None:
        _shared = NetnsThread()
    return _shared


async def create_netns(setup: Callable[[int], T] | None = None) -> tuple[int, T | None]:
    """Make a namespace; returns its descriptor (close-on-exec) and setup's result.

    ``setup(fd)`` runs in the thread *inside* the new namespace, e.g. to bring ``lo`` up and
    add addresses with a ``Netlink`` opened there. Closing the descriptor, once no process is
    left inside, removes the namespace with its interfaces.
    """
    return await _threads().create(setup)


async def run_in_netns(fd: int, function: Callable[[], T]) -> T:
    """Run ``function`` in the namespace of ``fd`` (also of /proc/<pid>/ns/net), in a thread."""
    return await _threads().run(fd, function)
