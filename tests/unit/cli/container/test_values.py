from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.container import values


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("dst=/x", {"Type": "volume", "Target": "/x"}),
        (
            "type=bind,src=/a,dst=/b,ro",
            {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True},
        ),
        (
            "type=bind,source=/a,target=/b,readonly=false,bind-propagation=rslave",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/b",
                "ReadOnly": False,
                "BindOptions": {"Propagation": "rslave"},
            },
        ),
        (
            "src=v,dst=/b,volume-nocopy,volume-driver=d,volume-opt=a=b,volume-label=l,volume-subpath=s",
            {
                "Type": "volume",
                "Source": "v",
                "Target": "/b",
                "VolumeOptions": {
                    "NoCopy": True,
                    "DriverConfig": {"Name": "d", "Options": {"a": "b"}},
                    "Labels": {"l": ""},
                    "Subpath": "s",
                },
            },
        ),
        (
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777",
            {
                "Type": "tmpfs",
                "Target": "/t",
                "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1777},
            },
        ),
        (
            '"type=bind","src=/a,b",dst=/c,bind-recursive=disabled',
            {
                "Type": "bind",
                "Source": "/a,b",
                "Target": "/c",
                "BindOptions": {"NonRecursive": True},
            },
        ),
        (
            "type=image,src=i,dst=/c,image-subpath=d",
            {"Type": "image", "Source": "i", "Target": "/c", "ImageOptions": {"Subpath": "d"}},
        ),
    ],
)
def test_mount(text: str, result: dict[str, Any]) -> None:
    assert values.mount(text) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "EOF"),
        ("type=bind", "target is required"),
        ("type=,dst=/x", "type is required"),
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("foo=1,dst=/x", "unexpected key 'foo' in 'foo=1'"),
        ("dst=/x,volume-foo=1", "unexpected key 'volume-foo'"),
        ("dst=/x,ro=maybe", "invalid value for ro: maybe"),
        ("type=bind,dst=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("dst=/x,bind-propagation=rslave", "cannot mix 'bind-*' options with mount type 'volume'"),
        ("type=tmpfs,dst=/x,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("type=tmpfs,dst=/x,tmpfs-size=x", "invalid value for tmpfs-size: x"),
        ("type=bind,dst=/x,bind-recursive=x", "invalid value for bind-recursive: x"),
        ("type=bind,dst=/x,bind-recursive=writable", "requires 'readonly'"),
        ("type=bind,dst=/x,ro,bind-recursive=readonly", "requires 'bind-propagation=rprivate'"),
    ],
)
def test_no_mount(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        values.mount(text)
    assert message in str(caught.value)


def test_relative_sources_are_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert values.mount("type=bind,src=./a/../b,dst=/x")["Source"] == f"{tmp_path}/b"
    assert values.mount("src=a,dst=/x")["Source"] == "a"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("foo", {"Target": "foo"}),
        ("container:x", {"Target": "container:x"}),
        (
            "name=n,alias=a,alias=b,ip=1.2.3.4,ip6=::1,mac-address=M,link-local-ip=169.254.0.1,"
            "driver-opt=k=v,gw-priority=-3",
            {
                "Target": "n",
                "Aliases": ["a", "b"],
                "IPv4Address": "1.2.3.4",
                "IPv6Address": "::1",
                "MacAddress": "m",
                "LinkLocalIPs": ["169.254.0.1"],
                "DriverOpts": {"k": "v"},
                "GwPriority": -3,
            },
        ),
    ],
)
def test_network(text: str, result: dict[str, Any]) -> None:
    assert values.network(text) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name=n,x", "invalid field x"),
        ("name=n,x=y", "invalid field key x"),
        ("alias=a", "network name/id is not specified"),
        ("name=n,driver-opt=x", "invalid key value pair format in driver options"),
        ("name=n,gw-priority=x", "invalid gw-priority (x): invalid syntax"),
    ],
)
def test_no_network(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        values.network(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("function", "good", "result"),
    [
        (values.attach_stream, "STDIN", "stdin"),
        (values.env_name, "A=b=c", "A=b=c"),
        (values.env_name, "PIERHEAD_NOT_SET", "PIERHEAD_NOT_SET"),
        (values.label, "a", "a"),
        (values.ip_address, " ::1", "::1"),
        (values.add_host, "a=[::1]", "a:::1"),
        (values.add_host, "a:1.2.3.4", "a:1.2.3.4"),
        (values.add_host, "a:host-gateway", "a:host-gateway"),
        (values.dns_search, ".", "."),
        (values.dns_search, "a-b.c.", "a-b.c"),
        (values.link, "/a:b", "/a:b"),
        (values.blkio_weight_device, "/dev/a:10", {"Path": "/dev/a", "Weight": 10}),
        (values.throttle_bps, "/dev/a:1mb", {"Path": "/dev/a", "Rate": 1 << 20}),
        (values.throttle_iops, "/dev/a:7", {"Path": "/dev/a", "Rate": 7}),
        (values.device_rule, "c 1:* rwm", "c 1:* rwm"),
        (values.ulimit, "nofile=1:2", {"Name": "nofile", "Soft": 1, "Hard": 2}),
        (values.ulimit, "core=-1", {"Name": "core", "Soft": -1, "Hard": -1}),
        (values.sysctl, "net.x=1", "net.x=1"),
        (values.sysctl, "kernel.shmmax=1", "kernel.shmmax=1"),
    ],
)
def test_good_values(function: Any, good: str, result: Any) -> None:
    assert function(good) == result


@pytest.mark.parametrize(
    ("function", "bad", "message"),
    [
        (values.attach_stream, "x", "valid streams are STDIN, STDOUT and STDERR"),
        (values.env_name, "=x", "invalid environment variable: =x"),
        (values.label, "=x", "invalid label '=x': empty name"),
        (values.ip_address, "x", "IP address is not correctly formatted: x"),
        (values.add_host, "x", 'bad format for add-host: "x"'),
        (values.add_host, "a:b", 'invalid IP address in add-host: "b"'),
        (values.dns_search, "a..b", "a..b is not a valid domain"),
        (values.dns_search, "1", "1 is not a valid domain"),
        (values.link, "", "empty string specified for links"),
        (values.link, "a:b:c", "bad format for links: a:b:c"),
        (values.blkio_weight_device, "x", "bad format: x"),
        (values.blkio_weight_device, "x:1", "bad format for device path: x:1"),
        (values.blkio_weight_device, "/dev/a:5", "invalid weight for device: /dev/a:5"),
        (values.throttle_bps, "/dev/a:x", "invalid rate for device: /dev/a:x."),
        (values.throttle_iops, "/dev/a:-1", "invalid rate for device: /dev/a:-1."),
        (values.device_rule, "c 1 rwm", "invalid device cgroup format 'c 1 rwm'"),
        (values.ulimit, "x", "invalid ulimit argument: x"),
        (values.ulimit, "x=1", "invalid ulimit type: x"),
        (values.ulimit, "nofile=2:1", "must be less than or equal to hard limit: 2 > 1"),
        (values.ulimit, "nofile=-1:1", "soft: -1 (unlimited), hard: 1"),
        (values.ulimit, "nofile=1:2:3", "too many limit value arguments - 1:2:3"),
        (values.ulimit, "nofile=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (values.sysctl, "kernel.x=1", "sysctl 'kernel.x=1' is not allowed"),
        (values.gpu_request, "x=y", "unexpected key 'x' in 'x=y'"),
        (values.gpu_request, "all,count=1", "can be specified only once"),
        (values.gpu_request, "x", 'invalid count (x): value must be either "all" or an integer'),
    ],
)
def test_bad_values(function: Any, bad: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        function(bad)
    assert message in str(caught.value)


def test_gpus() -> None:
    assert values.gpu_request('"device=0,1",driver=d,"capabilities=a,b",options=x=y') == {
        "Driver": "d",
        "Count": 0,
        "DeviceIDs": ["0", "1"],
        "Capabilities": [["a", "b", "gpu"]],
        "Options": {"x": "y"},
    }
    assert values.gpu_request("all")["Count"] == -1
    assert values.gpu_request("driver=d")["Count"] == 1


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("92:d0:c6:0a:29:33", True),
        ("92-d0-c6-0a-29-33", True),
        ("92d0.c60a.2933", True),
        ("92:d0", False),
        ("x", False),
        ("92:d0:c6:0a:29:3g", False),
    ],
)
def test_mac_addresses(text: str, good: bool) -> None:
    assert values.mac_address(text) is good
