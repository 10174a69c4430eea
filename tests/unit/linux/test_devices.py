from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.errors import InvalidParameter
from pierhead.linux import devices


def test_a_node() -> None:
    (found,) = devices.device("/dev/null", "/dev/nothing", "rw")
    assert (found.path, found.type, found.major, found.minor) == ("/dev/nothing", "c", 1, 3)
    assert found.access == "rw"
    assert found.mode == 0o666


def test_a_symlink_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    (found,) = devices.device(str(tmp_path / "link"))
    assert (found.path, found.minor) == (str(tmp_path / "link"), 5)


@pytest.mark.parametrize("path", ["/dev/does-not-exist", "/etc/passwd", "/proc/self"])
def test_what_is_no_device(path: str) -> None:
    with pytest.raises(InvalidParameter, match="error gathering device information") as caught:
        devices.device(path)
    assert f'"{path}"' in caught.value.message


def test_the_host_s_nodes_leave_terminals_out() -> None:
    paths = {device.path for device in devices.host_devices()}
    assert "/dev/null" in paths
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/")) for path in paths)


def test_numbers_wants_a_block_device() -> None:
    with pytest.raises(InvalidParameter, match="not a block device"):
        devices.numbers("/dev/null")
    with pytest.raises(InvalidParameter, match="no such device"):
        devices.numbers("/dev/nope")
