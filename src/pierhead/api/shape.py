"""Answers in the shape of the request's API version.

The engine answers in the newest shape. Each function here takes such an object, which it
may change, and makes it what the daemon of an older version would have sent; what the
versions changed is in moby's ``api/docs/CHANGELOG.md``. ``api`` is the minor version.
"""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

_BRIDGE_FIELDS: Final[dict[str, Any]] = {
    "EndpointID": "",
    "Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "MacAddress": "",
}
_LEGACY_NETWORK_FIELDS: Final[dict[str, Any]] = {
    "Bridge": "",
    "HairpinMode": False,
    "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None,
    "SecondaryIPv6Addresses": None,
}
# Of a container's configuration in an image: never set there, sent until 1.49.
_IMAGE_CONFIG_EMPTY: Final[dict[str, Any]] = {
    "Hostname": "",
    "Domainname": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Image": "",
}
# Sent even when unset until 1.51, left out when unset since.
_IMAGE_CONFIG_NULL: Final[dict[str, Any]] = {
    "Cmd": None,
    "Entrypoint": None,
    "Env": None,
    "Labels": None,
    "OnBuild": None,
    "User": "",
    "Volumes": None,
    "WorkingDir": "",
}
_IMAGE_TEXTS: Final = ("Parent", "Comment", "DockerVersion", "Author")


def container(found: Json, api: int) -> Json:
    """``GET /containers/{id}/json``."""
    settings: Json = found.get("NetworkSettings") or {}
    networks: dict[str, Json] = settings.get("Networks") or {}
    config: Json = found.get("Config") or {}
    host: Json = found.get("HostConfig") or {}
    if api >= 52:
        for field in (*_BRIDGE_FIELDS, *_LEGACY_NETWORK_FIELDS):
            settings.pop(field, None)
        if not config.get("OnBuild"):
            config.pop("OnBuild", None)
        config.pop("MacAddress", None)
        host.pop("KernelMemoryTCP", None)
    else:
        bridge = networks.get("bridge") or {}
        for field, empty in _BRIDGE_FIELDS.items():
            settings[field] = bridge.get(field, empty)
        for field, empty in _LEGACY_NETWORK_FIELDS.items():
            settings.setdefault(field, empty)
        config.setdefault("OnBuild", None)
        mac = config.get("MacAddress") or _asked_mac(host, networks)
        if mac:
            config["MacAddress"] = mac
        else:
            config.pop("MacAddress", None)
    if api < 48:
        found.pop("ImageManifestDescriptor", None)
        for network in networks.values():
            network.pop("GwPriority", None)
    if api < 45:
        for name, network in networks.items():
            if name not in ("bridge", "host", "none"):
                aliases = list(network.get("Aliases") or [])
                for extra in (str(found.get("Id", ""))[:12], str(config.get("Hostname", ""))):
                    if extra and extra not in aliases:
                        aliases.append(extra)
                network["Aliases"] = aliases
    if api < 44:
        for network in networks.values():
            network.pop("DNSNames", None)
        (config.get("Healthcheck") or {}).pop("StartInterval", None)
    if api < 43:
        host.pop("Annotations", None)
    if api < 42:
        host.setdefault("KernelMemory", 0)
        host.setdefault("KernelMemoryTCP", 0)
    if api < 41:
        host.pop("CgroupnsMode", None)
    return found


def _asked_mac(host: Json, networks: dict[str, Json]) -> str:
    """The address asked for the main network: until 1.51 a property of the container."""
    mode = host.get("NetworkMode") or "bridge"
    main = networks.get("bridge" if mode == "default" else mode) or {}
    return str(main.get("DesiredMacAddress") or "")


def containers(found: list[Json], api: int) -> list[Json]:
    """``GET /containers/json``."""
    if api >= 52:
        return found
    for item in found:
        item.pop("Health", None)
        if api < 48:
            item.pop("ImageManifestDescriptor", None)
            for network in ((item.get("NetworkSettings") or {}).get("Networks") or {}).values():
                network.pop("GwPriority", None)
        if api < 46:
            (item.get("HostConfig") or {}).pop("Annotations", None)
    return found


def stats(found: Json, api: int) -> Json:
    """One object of ``GET /containers/{id}/stats``."""
    if api < 52:
        found.pop("os_type", None)
    return found


def image(found: Json, api: int) -> Json:
    """``GET /images/{name}/json``."""
    config: Json = found.get("Config") or {}
    if not found.get("RepoTags"):
        found["RepoTags"] = []
    if not found.get("RepoDigests"):
        found["RepoDigests"] = []
    if api >= 50:
        for field in (*_IMAGE_CONFIG_EMPTY, "NetworkDisabled", "MacAddress", "StopTimeout"):
            config.pop(field, None)
    else:
        for field, empty in _IMAGE_CONFIG_EMPTY.items():
            config.setdefault(field, empty)
    if api >= 52:
        for field in _IMAGE_CONFIG_NULL:
            if not config.get(field):
                config.pop(field, None)
        for field in _IMAGE_TEXTS:
            if not found.get(field):
                found.pop(field, None)
    else:
        for field, empty in _IMAGE_CONFIG_NULL.items():
            config.setdefault(field, empty)
        for field in _IMAGE_TEXTS:
            found.setdefault(field, "")
    if api < 53:
        found.pop("Identity", None)
    if api < 48:
        found.pop("Descriptor", None)
        found.pop("Manifests", None)
    if api < 45:
        found.setdefault("Container", "")
        found.setdefault("ContainerConfig", {**_IMAGE_CONFIG_EMPTY, **_IMAGE_CONFIG_NULL})
    else:
        found.pop("Container", None)
        found.pop("ContainerConfig", None)
    if api < 44:
        found["VirtualSize"] = found.get("Size", 0)
        found.setdefault("Created", "0001-01-01T00:00:00Z")
    else:
        found.pop("VirtualSize", None)
    found["Config"] = config
    return found


def images(found: list[Json], api: int, *, counted: bool = False) -> list[Json]:
    """``GET /images/json`` and, ``counted``, the images of ``GET /system/df``."""
    for item in found:
        tags, digests = item.get("RepoTags"), item.get("RepoDigests")
        if api < 43 and not tags and not digests:
            item["RepoTags"], item["RepoDigests"] = ["<none>:<none>"], ["<none>@<none>"]
        else:
            item["RepoTags"], item["RepoDigests"] = tags or [], digests or []
        if api < 54:
            item.pop("Identity", None)
        if api < 51 and not counted:
            item["Containers"] = -1
        if api < 48:
            item.pop("Descriptor", None)
        if api < 47:
            item.pop("Manifests", None)
        if api < 44:
            item["VirtualSize"] = item.get("Size", 0)
        else:
            item.pop("VirtualSize", None)
    return found


def network(found: Json, api: int) -> Json:
    """``GET /networks/{id}`` and one of the list."""
    if api < 52:
        found.pop("Status", None)
    if api < 48:
        found.pop("EnableIPv4", None)
    return found


def event(found: Json, api: int) -> Json | None:
    """One of ``GET /events``; None for one that the version doesn't know."""
    kind, action = found["Type"], found["Action"]
    if api < 46 and kind == "image" and action == "create":
        return None
    if api < 36 and action.partition(":")[0] == "exec_die":
        return None
    if api >= 52 or kind not in ("container", "image"):
        return found
    actor = found["Actor"]
    legacy: Json = {"status": action, "id": actor["ID"]}
    if kind == "container":
        legacy["from"] = actor["Attributes"].get("image", "")
    return {**legacy, **found}


def info(found: Json, api: int) -> Json:
    """``GET /info``."""
    if api < 53:
        found.pop("NRI", None)
    if api < 50:
        found.pop("DiscoveredDevices", None)
        found["BridgeNfIptables"] = found["BridgeNfIp6tables"] = False
    if api < 49:
        found.pop("FirewallBackend", None)
        for commit in ("ContainerdCommit", "RuncCommit", "InitCommit"):
            found[commit] = {**found[commit], "Expected": found[commit]["ID"]}
        found["RegistryConfig"].setdefault("AllowNondistributableArtifactsCIDRs", None)
        found["RegistryConfig"].setdefault("AllowNondistributableArtifactsHostnames", None)
    if api < 46:
        found.pop("Containerd", None)
    if api < 44:
        found.pop("CDISpecDirs", None)
        for runtime in found["Runtimes"].values():
            runtime.pop("status", None)
    if api < 41:
        found.pop("CgroupVersion", None)
        found.pop("DefaultAddressPools", None)
    if api < 40:
        found.pop("PidsLimit", None)
    if api < 39:
        found.pop("Warnings", None)
    if api < 25:
        found.pop("Isolation", None)
        found["SecurityOptions"] = [
            option.removeprefix("name=").partition(",")[0] for option in found["SecurityOptions"]
        ]
    return found


def disk_usage(found: dict[str, Json], api: int, verbose: bool) -> Json:
    """``GET /system/df``, from usages by kind with their ``Items``."""
    if "image" in found:
        images(found["image"]["Items"], api, counted=True)
    if "container" in found:
        containers(found["container"]["Items"], api)
    answer: Json = {}
    if api >= 52:
        for kind, field in (
            ("image", "ImageUsage"),
            ("container", "ContainerUsage"),
            ("volume", "VolumeUsage"),
            ("build-cache", "BuildCacheUsage"),
        ):
            if kind in found:
                usage = found[kind]
                if not verbose or not usage["Items"]:
                    usage = {key: value for key, value in usage.items() if key != "Items"}
                answer[field] = usage
    if api < 52 or not verbose:
        # Announced to go with 1.53, and still sent by moby unless `verbose` shows that the
        # client knows the new fields: docker-py asks in the newest version for the old ones.
        if "image" in found:
            answer["LayersSize"] = found["image"]["TotalSize"]
        elif api < 42:
            answer["LayersSize"] = 0
        for kind, field in (
            ("image", "Images"),
            ("container", "Containers"),
            ("volume", "Volumes"),
            ("build-cache", "BuildCache"),
        ):
            if kind in found:
                answer[field] = found[kind]["Items"]
        if api < 42:
            answer["BuilderSize"] = found.get("build-cache", {}).get("TotalSize", 0)
    return answer
