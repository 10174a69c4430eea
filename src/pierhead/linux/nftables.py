"""nftables through libnftables, in this process.

libnftables is not thread safe: one ``Nft`` a thread. A command list is one transaction:
all or nothing. The library is loaded when the first ``Nft`` is made (Debian:
libnftables1).
"""

from __future__ import annotations

import ctypes
import json
from typing import Any, Final

from pierhead.errors import Unavailable

_OUTPUT_HANDLE: Final = 1 << 3
_OUTPUT_JSON: Final = 1 << 4
_NUMERIC_ALL: Final = (1 << 6) | (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10)

_library: Any = None


class NftError(OSError):
    """The kernel or the parser refused; the text is libnftables' own."""


def _load() -> Any:
    global _library
    if _library is None:
        try:
            library = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise Unavailable(
                "libnftables is not installed: install the package libnftables1"
            ) from error
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).restype = ctypes.c_char_p
            getattr(library, name).argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        library.nft_ctx_free.restype = None
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        library.nft_ctx_output_set_flags.restype = None
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        _library = library
    return _library


class Nft:
    """A libnftables context."""

    def __init__(self) -> None:
        self._lib = _load()
        self._context = self._lib.nft_ctx_new(0)
        if not self._context:
            raise NftError("libnftables gave no context")
        self._lib.nft_ctx_buffer_output(self._context)
        self._lib.nft_ctx_buffer_error(self._context)
        self._flags(_OUTPUT_HANDLE | _NUMERIC_ALL)

    def _flags(self, flags: int) -> None:
        self._lib.nft_ctx_output_set_flags(self._context, flags)

    def run(self, commands: str) -> str:
        """Run nft(8) commands (one or many lines) as one transaction; returns the output.

        About 0.3 ms. Raises ``NftError``.
        """
        if not self._context:
            raise NftError("this nftables context is closed")
        status = self._lib.nft_run_cmd_from_buffer(self._context, commands.encode())
        output: bytes = self._lib.nft_ctx_get_output_buffer(self._context) or b""
        error: bytes = self._lib.nft_ctx_get_error_buffer(self._context) or b""
        if status:
            raise NftError(error.decode(errors="replace").strip() or "nftables refused the change")
        return output.decode(errors="replace")

    def run_json(self, commands: str) -> dict[str, Any]:
        """As ``run`` for ``list ...`` commands, output as libnftables-json(5)."""
        self._flags(_OUTPUT_HANDLE | _OUTPUT_JSON | _NUMERIC_ALL)
        try:
            text = self.run(commands)
        finally:
            self._flags(_OUTPUT_HANDLE | _NUMERIC_ALL)
        result: dict[str, Any] = json.loads(text) if text else {}
        return result

    def close(self) -> None:
        if self._context:
            self._lib.nft_ctx_free(self._context)
            self._context = None
