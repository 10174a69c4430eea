"""nftables through libnftables, in this process.

libnftables is not thread safe: one ``Nft`` a thread. A command list is one transaction:
all or nothing.
"""

from __future__ import annotations

from typing import Any


class NftError(OSError):
    """The kernel or the parser refused; the text is libnftables' own."""


class Nft:
    """A libnftables context."""

    def __init__(self) -> None:
        raise NotImplementedError

    def run(self, commands: str) -> str:
        """Run nft(8) commands (one or many lines) as one transaction; returns the output.

        About 0.3 ms. Raises ``NftError``.
        """
        raise NotImplementedError

    def run_json(self, commands: str) -> dict[str, Any]:
        """As ``run`` for ``list ...`` commands, output as libnftables-json(5)."""
        raise NotImplementedError

    def close(self) -> None: ...
