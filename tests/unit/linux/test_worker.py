"""Without a jail a worker needs no rights."""

from __future__ import annotations

import os

import pytest

from pierhead.errors import Internal, InvalidParameter
from pierhead.linux import worker


async def test_result_and_typed_errors() -> None:
    names = await worker.call(
        "oci.capabilities:normalize", {"names": ["net_admin"], "field": "CapAdd"}
    )
    assert names == ["CAP_NET_ADMIN"]
    with pytest.raises(InvalidParameter, match="unknown capability"):
        await worker.call("oci.capabilities:normalize", {"names": ["x"], "field": "CapAdd"})


async def test_an_oserror_keeps_its_number_and_path() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        await worker.call("linux.mounts:mountinfo", {"pid": "0"})
    assert caught.value.filename == "/proc/0/mountinfo"


async def test_anything_else_is_internal() -> None:
    with pytest.raises(Internal, match=r"IndexError|ValueError"):
        await worker.call("linux.mounts:parse_mountinfo", {"line": "x"})


async def test_a_killed_worker_says_so() -> None:
    running = await worker.start("store.tarcopy:expand", {}, pipe_stdin=True, site_packages=True)
    assert running.stdin_fd is not None
    try:
        running.kill()
        with pytest.raises(Internal, match="SIGKILL"):
            await running.result()
    finally:
        os.close(running.stdin_fd)
