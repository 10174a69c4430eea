"""Loop devices for images that the kernel can't mount from the file itself (loop(4))."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final

_LOOP_CTL_GET_FREE: Final = 0x4C82
_LOOP_CONFIGURE: Final = 0x4C0A  # Linux 5.8
_LO_FLAGS_READ_ONLY: Final = 1
_LO_FLAGS_AUTOCLEAR: Final = 4
_LOOP_INFO64: Final = struct.Struct("=5Q4I64s64s32s2Q")
_ATTEMPTS: Final = 64


def attach(image_fd: int, *, block_bytes: int = 512) -> tuple[int, str]:
    """Make a read-only loop device of ``image_fd``: a descriptor of it, and its path.

    It detaches itself (autoclear) when the descriptor is closed and nothing has it mounted,
    so also when we are killed. Raises ``OSError`` ENOENT where there are no loop devices.
    """
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
            path = f"/dev/loop{number}"
            device = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, _config(image_fd, block_bytes))
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # else somebody was faster
                    raise OSError(error.errno, error.strerror, path) from error
            except BaseException:
                os.close(device)
                raise
            else:
                return device, path
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "no free loop device", "/dev/loop-control")


def _config(image_fd: int, block_bytes: int) -> bytes:
    """struct loop_config (Linux ``include/uapi/linux/loop.h``)."""
    info = _LOOP_INFO64.pack(
        0, 0, 0, 0, 0, 0, 0, 0, _LO_FLAGS_READ_ONLY | _LO_FLAGS_AUTOCLEAR, b"", b"", b"", 0, 0
    )
    return struct.pack("=2I", image_fd, block_bytes) + info + bytes(64)
