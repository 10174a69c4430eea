from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from pierhead.errors import InvalidParameter
from pierhead.store.erofs import read
from unit.store.test_stage import LAYER, listed, take


def test_siblings_are_sorted_and_parents_come_first(tmp_path: Path) -> None:
    take(LAYER, tmp_path)
    paths = list(listed(tmp_path))
    assert paths[0] == b""
    for path in paths[1:]:
        assert path.rpartition(b"/")[0] in paths[: paths.index(path)]


def test_content_lies_where_the_entry_says(tmp_path: Path) -> None:
    take(LAYER, tmp_path)
    entry = listed(tmp_path)[b"etc/passwd"]
    assert entry.offset is not None
    data = (tmp_path / "layer").read_bytes()[entry.offset : entry.offset + entry.size]
    assert data == b"root:x:0:0\n"


@pytest.mark.parametrize("data", [b"", b"x" * 2000, bytes(8192)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "layer").write_bytes(data)
    with pytest.raises(InvalidParameter, match="not an EROFS image"):
        listed(tmp_path)


def test_damaged_images_are_refused_or_read_never_worse(tmp_path: Path) -> None:
    result = take(LAYER, tmp_path)
    whole = (tmp_path / "layer").read_bytes()
    begin = 4096 + result["tar_bytes"]
    dice = random.Random(3)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(begin, len(damaged))] = dice.randrange(256)
        (tmp_path / "layer").write_bytes(damaged)
        fd = os.open(tmp_path / "layer", os.O_RDONLY)
        try:
            for _ in read.entries(fd):
                pass
        except InvalidParameter:
            continue
        finally:
            os.close(fd)
