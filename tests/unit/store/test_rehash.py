from __future__ import annotations

from pathlib import Path

from pierhead.oci.digest import sha256
from pierhead.store.rehash import rehash
from unit.store.test_stage import standard_input


def test_all_of_it_counts(tmp_path: Path) -> None:
    data = b"x" * 3_000_001
    with standard_input(data, tmp_path):
        assert rehash() == {"digest": sha256(data), "size_bytes": len(data)}
