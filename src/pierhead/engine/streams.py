"""The duplex stream between a client and a container's process, as the engine sees it.

The edge implements ``ClientIO`` for a hijacked connection (raw or multiplexed) and for
a websocket; the engine reads and writes it and knows nothing of framing.
"""

from __future__ import annotations

from typing import Final, Protocol

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2


class ClientIO(Protocol):
    """One attached client."""

    async def read(self) -> bytes:
        """Return the next bytes the client sent, ``b""`` once it has closed its side.

        Raises ``ConnectionError`` when the client is gone altogether.
        """
        ...

    async def write(self, stream: int, data: bytes) -> None:
        """Send ``data`` as ``STDOUT`` or ``STDERR`` and wait while the client is slow.

        Raises ``ConnectionError`` when the client is gone.
        """
        ...

    async def wait_gone(self) -> None:
        """Return when the client has vanished (both directions closed). Cancel-safe."""
        ...
