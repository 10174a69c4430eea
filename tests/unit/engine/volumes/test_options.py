from __future__ import annotations

import pytest

from pierhead.engine.volumes.options import DeviceMount, check_options, device_mount
from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.linux import syscalls as sc


def test_dockers_rules() -> None:
    check_options({})
    check_options({"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    for options, text in (
        ({"odd": "1"}, 'invalid option: "odd"'),
        ({"device": "/x"}, 'missing required option: "type"'),
        ({"type": "nfs"}, 'missing required option: "device"'),
        ({"o": "ro"}, 'missing required option: "device"'),
    ):
        with pytest.raises(InvalidParameter, match=text):
            check_options(options)
    with pytest.raises(NotImplementedYet):
        check_options({"size": "1g"})


def test_flags_and_data() -> None:
    assert device_mount({}) is None
    got = device_mount(
        {"type": "none", "device": "/src", "o": "bind,ro,nosuid,suid,addr=10.0.0.1,,vers=4"}
    )
    assert got == DeviceMount("/src", "none", sc.MS_BIND | sc.MS_RDONLY, "addr=10.0.0.1,vers=4")
    rbind = device_mount({"type": "none", "device": "/src", "o": "rbind,rw"})
    assert rbind is not None and rbind.flags == sc.MS_BIND | sc.MS_REC
