"""Network namespaces that live as long as a descriptor of ours, and code run inside one.

A namespace is per thread: everything that enters one happens in dedicated threads which
return to the host's before they take the next job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NetnsThread:
    """One thread that may change its network namespace; jobs run one after another."""

    def close(self) -> None:
        raise NotImplementedError


async def create_netns(setup: Callable[[int], T] | None = None) -> tuple[int, T | None]:
    """Make a namespace with ``lo`` up; returns its descriptor (close-on-exec) and setup's result.

    ``setup(fd)`` runs in the thread *inside* the new namespace, e.g. to add addresses with a
    netlink socket opened there. Closing the descriptor, once no process is left inside,
    removes the namespace with its interfaces.
    """
    raise NotImplementedError


async def run_in_netns(fd: int, function: Callable[[], T]) -> T:
    """Run ``function`` in the namespace of ``fd`` (also of /proc/<pid>/ns/net), in a thread."""
    raise NotImplementedError
