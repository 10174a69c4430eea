"""glibc's heap: fewer arenas, and giving memory back (mallopt(3), malloc_trim(3))."""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8
_DONTNEED: Final = 4  # MADV_DONTNEED

_libc = ctypes.CDLL(None)


def limit_arenas(count: int) -> None:
    """Share ``count`` heaps among all threads; each of glibc's own would keep megabytes."""
    mallopt = getattr(_libc, "mallopt", None)  # not in musl
    if mallopt is not None:
        mallopt(ctypes.c_int(_M_ARENA_MAX), ctypes.c_int(count))


def trim() -> None:
    """Give the heap's free pages back to the kernel."""
    malloc_trim = getattr(_libc, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(0))


def release_code() -> None:
    """Unmap the pages of programs and libraries that only the start has run.

    They stay in the kernel's page cache and come back, some at a time, when code in them runs
    (madvise(2), MADV_DONTNEED). Only mappings that can be run and not written: nothing in them
    can differ from the file.
    """
    with open("/proc/self/maps", "rb") as file:
        lines = file.read().splitlines()
    for line in lines:
        span, mode, _, _, inode = line.split(None, 5)[:5]
        if mode != b"r-xp" or inode == b"0":
            continue
        start, end = (int(part, 16) for part in span.split(b"-"))
        _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), ctypes.c_int(_DONTNEED))
