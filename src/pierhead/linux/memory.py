"""glibc's heap: fewer arenas, and giving memory back (mallopt(3), malloc_trim(3))."""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8

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
