"""What is set once for the whole process, before anything else runs."""

from __future__ import annotations

import gc
import os
import resource
import signal


def prepare() -> None:
    """Umask, signals, descriptors, and settings that keep memory small."""
    os.umask(0o022)
    # A client that goes away is an error of a write, not the end of pierd.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _raise_descriptors()
    # Start-up makes many objects that stay: collecting in between finds nothing.
    gc.disable()


def settle() -> None:
    """Start-up is over: what there is stays, so take it out of the collector's work."""
    gc.collect()
    gc.freeze()
    gc.enable()
    from pierhead.linux import memory

    memory.trim()
    memory.release_code()


def _raise_descriptors() -> None:
    """A descriptor for each stream and each conmon: take what the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 1 << 20
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, 1 << 20), hard))
