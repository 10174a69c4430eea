"""Answers by API version, after moby's api/docs/CHANGELOG.md."""

from __future__ import annotations

import copy
from typing import Any

from pierhead.api import shape

CONTAINER: dict[str, Any] = {
    "Id": "a" * 64,
    "ImageManifestDescriptor": {"digest": "x"},
    "Config": {"Hostname": "host", "OnBuild": None, "Image": "i"},
    "HostConfig": {"NetworkMode": "net", "Annotations": {"a": "b"}, "CgroupnsMode": "private"},
    "NetworkSettings": {
        "Networks": {
            "bridge": {"IPAddress": "172.17.0.2", "GwPriority": 0, "DNSNames": None},
            "net": {"IPAddress": "10.0.0.2", "Aliases": ["web"], "DNSNames": ["web"]},
        }
    },
}
IMAGE: dict[str, Any] = {
    "Id": "sha256:1",
    "RepoTags": None,
    "RepoDigests": None,
    "Size": 7,
    "Descriptor": {"digest": "x"},
    "Config": {"Cmd": ["sh"], "Env": None, "Labels": None},
    "Comment": "",
}


def container(api: int) -> dict[str, Any]:
    return shape.container(copy.deepcopy(CONTAINER), api)


def image(api: int) -> dict[str, Any]:
    return shape.image(copy.deepcopy(IMAGE), api)


def test_the_bridges_address_was_the_containers_until_151() -> None:
    assert container(51)["NetworkSettings"]["IPAddress"] == "172.17.0.2"
    assert container(51)["NetworkSettings"]["Bridge"] == ""
    new = container(52)
    assert set(new["NetworkSettings"]) == {"Networks"}
    assert "OnBuild" not in new["Config"]


def test_aliases_had_the_short_id_until_144() -> None:
    assert container(45)["NetworkSettings"]["Networks"]["net"]["Aliases"] == ["web"]
    old = container(44)["NetworkSettings"]["Networks"]
    assert old["net"]["Aliases"] == ["web", "a" * 12, "host"]
    assert "Aliases" not in old["bridge"]


def test_fields_appear_with_their_version() -> None:
    assert "ImageManifestDescriptor" in container(48)
    assert "ImageManifestDescriptor" not in container(47)
    assert "DNSNames" not in container(43)["NetworkSettings"]["Networks"]["net"]
    assert "Annotations" not in container(42)["HostConfig"]
    assert container(41)["HostConfig"]["KernelMemory"] == 0
    assert "CgroupnsMode" not in container(40)["HostConfig"]


def test_mac_address_of_the_main_network() -> None:
    found = copy.deepcopy(CONTAINER)
    found["NetworkSettings"]["Networks"]["net"]["DesiredMacAddress"] = "02:00:00:00:00:01"
    assert shape.container(found, 43)["Config"]["MacAddress"] == "02:00:00:00:00:01"


def test_list_of_containers() -> None:
    item = {"Health": {"Status": "healthy"}, "HostConfig": {"Annotations": {}, "NetworkMode": "x"}}
    assert "Health" in shape.containers([copy.deepcopy(item)], 52)[0]
    old = shape.containers([copy.deepcopy(item)], 45)[0]
    assert "Health" not in old and "Annotations" not in old["HostConfig"]


def test_image() -> None:
    assert image(43)["VirtualSize"] == 7 and "VirtualSize" not in image(44)
    assert "ContainerConfig" in image(44) and "ContainerConfig" not in image(45)
    assert "Descriptor" in image(48) and "Descriptor" not in image(47)
    assert image(49)["Config"]["Hostname"] == "" and "Hostname" not in image(50)["Config"]
    assert image(51)["Config"]["Env"] is None and "Env" not in image(52)["Config"]
    assert image(51)["Comment"] == "" and "Comment" not in image(52)
    assert image(56)["RepoTags"] == []


def test_list_of_images() -> None:
    item = {"RepoTags": None, "RepoDigests": None, "Size": 7, "Containers": 2}
    assert shape.images([dict(item)], 42)[0]["RepoTags"] == ["<none>:<none>"]
    assert shape.images([dict(item)], 43)[0]["RepoTags"] == []
    assert shape.images([dict(item)], 50)[0]["Containers"] == -1
    assert shape.images([dict(item)], 51)[0]["Containers"] == 2


def test_events() -> None:
    event = {
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "x", "Attributes": {"image": "busybox"}},
    }
    old = shape.event(event, 51)
    assert old is not None
    assert (old["status"], old["id"], old["from"]) == ("start", "x", "busybox")
    assert shape.event(event, 52) == event
    created = {"Type": "image", "Action": "create", "Actor": {"ID": "x", "Attributes": {}}}
    assert shape.event(created, 45) is None
    assert shape.event(created, 46) is not None
    network = {"Type": "network", "Action": "create", "Actor": {"ID": "x", "Attributes": {}}}
    assert shape.event(network, 40) == network


def usage() -> dict[str, Any]:
    return {
        kind: {"ActiveCount": 0, "TotalCount": 1, "Reclaimable": 5, "TotalSize": 5, "Items": [{}]}
        for kind in ("image", "container", "volume", "build-cache")
    }


def test_disk_usage() -> None:
    old = shape.disk_usage(usage(), 41, verbose=False)
    assert set(old) == {
        "LayersSize", "Images", "Containers", "Volumes", "BuildCache", "BuilderSize"
    }  # fmt: skip
    both = shape.disk_usage(usage(), 52, verbose=False)
    assert "Images" in both and "Items" not in both["ImageUsage"]
    new = shape.disk_usage(usage(), 56, verbose=True)
    assert set(new) == {"ImageUsage", "ContainerUsage", "VolumeUsage", "BuildCacheUsage"}
    assert new["VolumeUsage"]["Items"] == [{}]


def info() -> dict[str, Any]:
    commit = {"ID": "1"}
    return {
        "FirewallBackend": {}, "CDISpecDirs": [], "CgroupVersion": "2", "PidsLimit": True,
        "Warnings": None, "Isolation": "", "RegistryConfig": {},
        "Runtimes": {"crun": {"path": "crun", "status": {}}},
        "ContainerdCommit": dict(commit), "RuncCommit": dict(commit), "InitCommit": dict(commit),
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    }  # fmt: skip


def test_info() -> None:
    assert "FirewallBackend" in shape.info(info(), 49)
    older = shape.info(info(), 43)
    assert older["RuncCommit"] == {"ID": "1", "Expected": "1"}
    assert older["BridgeNfIptables"] is False
    assert "status" not in older["Runtimes"]["crun"]
    oldest = shape.info(info(), 24)
    assert oldest["SecurityOptions"] == ["seccomp", "cgroupns"]
    for field in ("CgroupVersion", "PidsLimit", "Warnings", "Isolation"):
        assert field not in oldest


def test_networks_and_stats() -> None:
    assert shape.network({"Status": {}, "EnableIPv4": True}, 51) == {"EnableIPv4": True}
    assert shape.network({"Status": {}, "EnableIPv4": True}, 47) == {}
    assert shape.stats({"os_type": "linux"}, 51) == {}
