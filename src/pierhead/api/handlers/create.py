"""``POST /containers/create``: the body, and what older versions meant by it.

The rules by version are those of moby's ``postContainersCreate``.
"""

from __future__ import annotations

from typing import Any

from aiohttp.web_response import StreamResponse

from pierhead.api import codec
from pierhead.api.call import Call
from pierhead.engine.config import (
    BindOptions,
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    Mount,
    NetworkingConfig,
    PortBinding,
)
from pierhead.errors import InvalidParameter

_SYSCTLS = "com.docker.network.endpoint.sysctls"


async def create(call: Call) -> StreamResponse:
    body = await call.read_json()
    if not body:
        raise InvalidParameter("invalid JSON: EOF: the body is empty, it must tell an Image")
    document = codec.parse(body)
    config, host, networking = decode_create(document)
    warnings = adapt(config, host, networking, call.api)
    _reject_legacy_capabilities(document, call.api)
    container_id, more = await call.engine.containers.create(
        call.text("name") or None,
        config,
        host,
        networking,
        call.platform() if call.api >= 41 else None,
    )
    return call.json({"Id": container_id, "Warnings": more + warnings}, 201)


def decode_create(document: dict[str, Any]) -> tuple[ContainerConfig, HostConfig, NetworkingConfig]:
    """Split the body into its three parts. Raises ``InvalidParameter`` naming the field."""
    if not document:
        raise InvalidParameter("config cannot be empty in order to create a container")
    host_part = _part(document, "HostConfig")
    network_part = _part(document, "NetworkingConfig")
    config = codec.convert(document, ContainerConfig)
    host = codec.convert({} if host_part is None else host_part, HostConfig, "HostConfig")
    networking = codec.convert(
        {} if network_part is None else network_part, NetworkingConfig, "NetworkingConfig"
    )
    return config, host, networking


def _part(document: dict[str, Any], name: str) -> Any:
    if name in document:
        return document[name]
    for key, value in document.items():
        if key.lower() == name.lower():
            return value
    return None


def _reject_legacy_capabilities(document: dict[str, Any], api: int) -> None:
    host = _part(document, "HostConfig")
    if api == 40 and isinstance(host, dict) and host.get("Capabilities"):
        raise InvalidParameter(
            "the HostConfig.Capabilities field is not supported by this daemon; use CapAdd and "
            "CapDrop to set capabilities"
        )


def adapt(
    config: ContainerConfig, host: HostConfig, networking: NetworkingConfig, api: int
) -> list[str]:
    """Bring a request of version ``api`` into the newest version's terms; return warnings."""
    warnings: list[str] = []
    _default_network(host, networking)
    if api < 40 and not host.ipc_mode:
        host.ipc_mode = "shareable"
    for mount in host.mounts or ():
        _adapt_mount(mount, api)
    if api < 42:
        host.console_size = None
    if api < 43:
        host.annotations = None
    endpoints = networking.endpoints_config or {}
    if api < 44:
        if config.healthcheck is not None:
            config.healthcheck.start_interval = 0
        if len(endpoints) > 1:
            raise InvalidParameter(
                "Container cannot be created with multiple network endpoints: "
                + ", ".join(endpoints)
            )
    if api < 48:
        for endpoint in endpoints.values():
            endpoint.gw_priority = 0
    warnings += _volume_driver(host, api)
    warnings += _mac_address(config, host, networking, api)
    warnings += _sysctls(host, networking, api)
    warnings += _empty_bindings(host, api)
    if host.pids_limit is not None and host.pids_limit <= 0:
        host.pids_limit = None
    return warnings


def _default_network(host: HostConfig, networking: NetworkingConfig) -> None:
    if host.network_mode in ("", "default"):
        host.network_mode = "bridge"
        endpoints = networking.endpoints_config
        if endpoints and "default" in endpoints:
            endpoints["bridge"] = endpoints.pop("default")


def _adapt_mount(mount: Mount, api: int) -> None:
    bind = mount.bind_options
    if bind is not None:
        if api < 40:
            bind.non_recursive = False
        if api < 42:
            bind.create_mountpoint = False
    if api < 42:
        # Options of another type weren't looked at until 1.42.
        if mount.type != "volume":
            mount.volume_options = None
        if mount.type != "tmpfs":
            mount.tmpfs_options = None
    else:
        for kind, name, options in (
            ("volume", "VolumeOptions", mount.volume_options),
            ("bind", "BindOptions", mount.bind_options),
            ("tmpfs", "TmpfsOptions", mount.tmpfs_options),
        ):
            if options is not None and mount.type != kind:
                raise InvalidParameter(f'{name} must not be specified on mount type "{mount.type}"')
    if api < 44 and mount.type == "bind" and bind is not None and bind.read_only_force_recursive:
        raise InvalidParameter("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
    if api < 44 and mount.type == "bind" and mount.read_only:
        # Submounts stayed writable before 1.44.
        mount.bind_options = bind or BindOptions()
        mount.bind_options.read_only_non_recursive = True
    if api < 45 and mount.volume_options is not None and mount.volume_options.subpath:
        raise InvalidParameter("VolumeOptions.Subpath needs API v1.45 or newer")
    if api < 48 and mount.type == "image":
        raise InvalidParameter('Mount type "Image" needs API v1.48 or newer')


def _volume_driver(host: HostConfig, api: int) -> list[str]:
    if not host.volume_driver or api < 48:
        return []
    for mount in host.mounts or ():
        options = mount.volume_options
        own = options is not None and options.driver_config and options.driver_config.name
        if mount.type == "volume" and not own:
            return [
                "WARNING: the container-wide volume-driver configuration is ignored for volumes "
                "specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead"
            ]
    return []


def _takes_endpoint(mode: str) -> bool:
    """The container has an interface of its own: a bridge or a user's network."""
    return mode not in ("host", "none") and not mode.startswith("container:")


def _main_endpoint(host: HostConfig, networking: NetworkingConfig, api: int) -> EndpointSettings:
    """The settings of the network that NetworkMode names, made if there are none."""
    name = host.network_mode
    endpoints = networking.endpoints_config
    if not endpoints:
        made = EndpointSettings()
        networking.endpoints_config = {name: made}
        return made
    if api < 44:
        return next(iter(endpoints.values()))
    if name not in endpoints:
        raise InvalidParameter(
            "HostConfig.NetworkMode must match the identity of a network in "
            "NetworkSettings.Networks"
        )
    return endpoints[name]


def _mac_address(
    config: ContainerConfig, host: HostConfig, networking: NetworkingConfig, api: int
) -> list[str]:
    """The address was the container's until 1.43, then an endpoint's; ignored from 1.52 on."""
    asked, config.mac_address = config.mac_address, ""
    if api >= 52:
        return []
    if api < 44:
        if not asked:
            for endpoint in (networking.endpoints_config or {}).values():
                endpoint.mac_address = ""
            return []
        if not _takes_endpoint(host.network_mode):
            raise InvalidParameter("conflicting options: mac-address and the network mode")
        _main_endpoint(host, networking, api).mac_address = asked
        return []
    if not asked:
        return []
    if _takes_endpoint(host.network_mode):
        endpoint = _main_endpoint(host, networking, api)
        if endpoint.mac_address and endpoint.mac_address.lower() != asked.lower():
            raise InvalidParameter(
                "the container-wide MAC address must match the endpoint-specific MAC address for "
                "the main network, or be left empty"
            )
        endpoint.mac_address = asked
    return [
        "The container-wide MacAddress field is now deprecated. It should be specified in "
        "EndpointsConfig instead."
    ]


def _sysctls(host: HostConfig, networking: NetworkingConfig, api: int) -> list[str]:
    """``net.*.*.eth0.*`` belongs to an interface, which isn't there when sysctls are set."""
    if not host.sysctls or not _takes_endpoint(host.network_mode):
        return []
    moved: dict[str, str] = {}
    for key, value in host.sysctls.items():
        parts = key.split(".", 4)
        if len(parts) < 5 or parts[0] != "net" or not parts[3].startswith("eth"):
            continue
        if api > 47:
            raise InvalidParameter(
                f'interface specific sysctl setting "{key}" must be supplied using driver option '
                f"'{_SYSCTLS}'"
            )
        if parts[3] != "eth0":
            raise InvalidParameter(
                f"unable to determine network endpoint for sysctl {key}, use driver option "
                f"'{_SYSCTLS}' to set per-interface sysctls"
            )
        moved[key] = f"net.{parts[1]}.{parts[2]}.IFNAME.{parts[4]}={value}"
    if not moved:
        return []
    endpoint = _main_endpoint(host, networking, api)
    options = dict(endpoint.driver_opts or {})
    setting = ",".join(moved.values())
    keys = ",".join(moved)
    options[_SYSCTLS] = ",".join(filter(None, (setting, options.get(_SYSCTLS, ""))))
    endpoint.driver_opts = options
    host.sysctls = {key: value for key, value in host.sysctls.items() if key not in moved}
    return [f'Migrated sysctl "{keys}" to DriverOpts{{"{_SYSCTLS}":"{setting}"}}.']


def _empty_bindings(host: HostConfig, api: int) -> list[str]:
    """``{"80/tcp": []}`` means any port of the host, which is going out of use."""
    empty = [port for port, bindings in (host.port_bindings or {}).items() if not bindings]
    for port in empty:
        assert host.port_bindings is not None
        host.port_bindings[port] = [PortBinding()]
    if empty and api >= 52:
        return [
            f"Following container port(s) have an empty list of port-bindings: {', '.join(empty)}. "
            "Such bindings will be discarded in a future version."
        ]
    return []
