"""The API's names of configuration fields."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pierhead.engine import config
from pierhead.engine.config import ContainerConfig, HostConfig, api_name


def test_capitals_of_acronyms() -> None:
    assert api_name("working_dir") == "WorkingDir"
    assert api_name("ipc_mode") == "IpcMode"
    assert api_name("dns_names") == "DNSNames"
    assert api_name("uts_mode") == "UTSMode"
    assert api_name("blkio_device_read_iops") == "BlkioDeviceReadIOps"
    assert api_name("global_ipv6_prefix_len") == "GlobalIPv6PrefixLen"


def published(shared: Path, name: str) -> set[str]:
    source = (shared / "reference" / "engine-api-1.56.yaml").read_text()
    document = yaml.load(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    definitions = document["definitions"]

    def properties(schema: dict[str, Any]) -> set[str]:
        if "$ref" in schema:
            return properties(definitions[schema["$ref"].rpartition("/")[2]])
        found = set(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            found |= properties(part)
        return found

    return properties(definitions[name])


def encoded(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def test_names_are_the_published_ones(shared: Path) -> None:
    for struct, name in (
        (ContainerConfig, "ContainerConfig"),
        (HostConfig, "HostConfig"),
        (config.EndpointSettings, "EndpointSettings"),
        (config.Mount, "Mount"),
        (config.MountPoint, "MountPoint"),
        (config.HealthConfig, "HealthConfig"),
        (config.RestartPolicy, "RestartPolicy"),
        (config.PortBinding, "PortBinding"),
        (config.DeviceMapping, "DeviceMapping"),
        (config.DeviceRequest, "DeviceRequest"),
        (config.ThrottleDevice, "ThrottleDevice"),
        (config.EndpointIPAMConfig, "EndpointIPAMConfig"),
    ):
        # MacAddress, Cgroup, ContainerIDFile: gone from the newest description, still sent
        # by older clients or shown to them.
        extra = encoded(struct) - published(shared, name)
        assert extra <= {"MacAddress", "Cgroup", "ContainerIDFile"}, (name, extra)


def test_every_struct_has_only_defaults_that_mean_not_given() -> None:
    for name, struct in inspect.getmembers(config, inspect.isclass):
        if not issubclass(struct, msgspec.Struct) or name in ("ApiStruct", "MountPoint"):
            continue
        assert msgspec.to_builtins(struct()) is not None
