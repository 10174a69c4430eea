from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import sha256
from pierhead.store import receive


@pytest.fixture
def blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give it bytes to come; a descriptor of the blob's file."""
    fds: list[int] = []
    real = os.read

    def feed(data: bytes, held: bytes = b"") -> int:
        (tmp_path / "in").write_bytes(data)
        (tmp_path / "blob").write_bytes(held)
        source = os.open(tmp_path / "in", os.O_RDONLY)
        fds.append(source)
        monkeypatch.setattr(os, "read", lambda fd, size: real(source if fd == 0 else fd, size))
        fds.append(os.open(tmp_path / "blob", os.O_RDWR))
        return fds[-1]

    yield feed
    for fd in fds:
        os.close(fd)


def test_what_comes_is_kept_and_hashed(blob, tmp_path: Path) -> None:
    assert receive.receive(blob_fd=blob(b"\x1f\x8b\x08rest")) == {
        "blob_digest": sha256(b"\x1f\x8b\x08rest"),
        "blob_bytes": 7,
        "compression": "gzip",
        "truncated": False,
    }
    assert (tmp_path / "blob").read_bytes() == b"\x1f\x8b\x08rest"


def test_it_goes_on_from_what_is_held(blob, tmp_path: Path) -> None:
    fd = blob(b"def", b"abcjunk")
    found = receive.receive(blob_fd=fd, held_bytes=3, blob_bytes=7)
    assert found["blob_digest"] == sha256(b"abcdef")
    assert found["truncated"]
    assert (tmp_path / "blob").read_bytes() == b"abcdef"


def test_limits(blob) -> None:
    with pytest.raises(InvalidParameter, match="more than the 3 bytes announced"):
        receive.receive(blob_fd=blob(b"abcd"), blob_bytes=3)
    with pytest.raises(InvalidParameter, match="room"):
        receive.receive(blob_fd=blob(b"abcd"), limit_bytes=3)
