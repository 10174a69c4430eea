"""Telling the service manager how we are: sd_notify(3), without libsystemd."""

from __future__ import annotations

import os
import socket
import time


def notify(*lines: str) -> bool:
    """Send ``READY=1``, ``STATUS=...`` and so on; False if nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto("\n".join(lines).encode(), address)
    except OSError:
        return False
    return True


def ready() -> None:
    notify("READY=1", f"MAINPID={os.getpid()}", "STATUS=serving the Engine API")


def reloading() -> None:
    # systemd wants the time with RELOADING=1 (Type=notify-reload).
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    notify("STOPPING=1", "STATUS=stopping; containers go on")
