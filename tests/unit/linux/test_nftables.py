from __future__ import annotations

import ctypes

import pytest

from pierhead.errors import Unavailable
from pierhead.linux import nftables


def test_without_the_library_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(nftables, "_library", None)
    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(Unavailable, match="libnftables1"):
        nftables.Nft()
