"""User names are looked up in the tree."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pierhead.build.files.service import FileService
from pierhead.build.solve import owners
from pierhead.errors import InvalidParameter, NotFound

FILES = {
    "/etc/passwd": b"root:x:0:0::/:/bin/sh\napp:x:100:101::/:/bin/sh\nbad:x\n",
    "/etc/group": b"root:x:0:\nstaff:x:50:app\n",
}


class Files:
    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def chain(self, chain_id: Any, name: str) -> None:
        pass

    async def read(self, source: Any, path: str, limit_bytes: int) -> bytes:
        if path not in self._files:
            raise NotFound(path)
        return self._files[path]

    async def release(self, source: Any) -> None:
        pass


def find(user: str, files: dict[str, bytes] = FILES) -> tuple[int, int]:
    return asyncio.run(owners.of(cast(FileService, Files(files)), None, user))


def test_names_and_numbers() -> None:
    assert find("app") == (100, 101)
    assert find("app:staff") == (100, 50)
    assert find("7") == (7, 7)
    assert find("7:8", {}) == (7, 8)


@pytest.mark.parametrize("user", ["nobody", "bad", "app:nogroup"])
def test_who_is_not_there(user: str) -> None:
    with pytest.raises(InvalidParameter, match="no such"):
        find(user)
