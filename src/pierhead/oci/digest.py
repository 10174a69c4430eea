"""Digests and the ids that are digests.

An image id is the digest of the config blob; a diff id the digest of a layer's
uncompressed tar; a chain id names a stack of layers (OCI image-spec, config.md,
"Layer ChainID"). Only sha256 is accepted: nothing in use needs another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NewType

from pierhead.errors import InvalidParameter

Digest = NewType("Digest", str)
"""``sha256:<64 lower-case hex digits>``."""
ImageId = NewType("ImageId", str)
DiffId = NewType("DiffId", str)
ChainId = NewType("ChainId", str)

PREFIX: Final = "sha256:"
_HEX = frozenset("0123456789abcdef")
_KNOWN_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


def is_hex(text: str) -> bool:
    """True if ``text`` is not empty and all lower-case hex digits."""
    return bool(text) and _HEX.issuperset(text)


def is_digest(text: str) -> bool:
    """True for a well-formed sha256 digest."""
    return len(text) == 71 and text.startswith(PREFIX) and is_hex(text[7:])


def parse_digest(text: str) -> Digest:
    """Check ``text`` and return it as a digest.

    Raises ``InvalidParameter`` with the wording of Docker's digest library.
    """
    if is_digest(text):
        return Digest(text)
    algorithm, colon, value = text.partition(":")
    if not colon or not algorithm or not value:
        raise InvalidParameter("invalid checksum digest format")
    if algorithm not in _KNOWN_LENGTHS:
        raise InvalidParameter("unsupported digest algorithm")
    if len(value) != _KNOWN_LENGTHS[algorithm]:
        raise InvalidParameter("invalid checksum digest length")
    if not is_hex(value):
        raise InvalidParameter("invalid checksum digest format")
    raise InvalidParameter(f"digest algorithm {algorithm} is not supported: use sha256")


def sha256(data: bytes | memoryview) -> Digest:
    """The digest of ``data``."""
    return Digest(PREFIX + hashlib.sha256(data).hexdigest())


def hex_of(digest: str) -> str:
    """The part after ``sha256:``."""
    return digest.removeprefix(PREFIX)


def chain_ids(diff_ids: Sequence[DiffId]) -> list[ChainId]:
    """The chain id of each prefix of ``diff_ids``, lowest layer first.

    ``chain(L0) = diff(L0)``, ``chain(L0..Ln) = sha256(chain(L0..Ln-1) + " " + diff(Ln))``.
    """
    chains: list[ChainId] = []
    for diff_id in diff_ids:
        if not chains:
            chains.append(ChainId(diff_id))
        else:
            chains.append(ChainId(sha256(f"{chains[-1]} {diff_id}".encode())))
    return chains
