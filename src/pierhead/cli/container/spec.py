"""From the flags of ``run`` and ``create`` to the body of ``POST /containers/create``.

Only what was asked for is put into the body; the daemon has the defaults. The checks are
those that the docker CLI makes before it sends anything, in its order and words.
"""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pierhead.cli.flags import Options

#: flag -> field of Config, copied as it is when the flag was given
_CONFIG = (
    ("hostname", "Hostname"),
    ("domainname", "Domainname"),
    ("user", "User"),
    ("workdir", "WorkingDir"),
    ("stop-signal", "StopSignal"),
    ("stop-timeout", "StopTimeout"),
)

#: flag -> field of HostConfig, likewise
_HOST = (
    ("cidfile", "ContainerIDFile"),
    ("dns", "Dns"),
    ("dns-option", "DnsOptions"),
    ("dns-search", "DnsSearch"),
    ("add-host", "ExtraHosts"),
    ("group-add", "GroupAdd"),
    ("init", "Init"),
    ("ipc", "IpcMode"),
    ("pid", "PidMode"),
    ("uts", "UTSMode"),
    ("userns", "UsernsMode"),
    ("cgroupns", "CgroupnsMode"),
    ("isolation", "Isolation"),
    ("link", "Links"),
    ("oom-score-adj", "OomScoreAdj"),
    ("privileged", "Privileged"),
    ("publish-all", "PublishAllPorts"),
    ("read-only", "ReadonlyRootfs"),
    ("rm", "AutoRemove"),
    ("runtime", "Runtime"),
    ("shm-size", "ShmSize"),
    ("volume-driver", "VolumeDriver"),
    ("volumes-from", "VolumesFrom"),
    ("mount", "Mounts"),
    ("sysctl", "Sysctls"),
    ("annotation", "Annotations"),
    ("cgroup-parent", "CgroupParent"),
    ("memory-swappiness", "MemorySwappiness"),
    ("oom-kill-disable", "OomKillDisable"),
    ("cpu-count", "CpuCount"),
    ("cpu-percent", "CpuPercent"),
    ("io-maxiops", "IOMaximumIOps"),
    ("io-maxbandwidth", "IOMaximumBandwidth"),
    ("blkio-weight-device", "BlkioWeightDevice"),
    ("device-read-bps", "BlkioDeviceReadBps"),
    ("device-write-bps", "BlkioDeviceWriteBps"),
    ("device-read-iops", "BlkioDeviceReadIOps"),
    ("device-write-iops", "BlkioDeviceWriteIOps"),
    ("device-cgroup-rule", "DeviceCgroupRules"),
    ("gpus", "DeviceRequests"),
)

#: Limits, which ``update`` has too
LIMITS = (
    ("blkio-weight", "BlkioWeight"),
    ("cpu-period", "CpuPeriod"),
    ("cpu-quota", "CpuQuota"),
    ("cpu-rt-period", "CpuRealtimePeriod"),
    ("cpu-rt-runtime", "CpuRealtimeRuntime"),
    ("cpu-shares", "CpuShares"),
    ("cpus", "NanoCpus"),
    ("cpuset-cpus", "CpusetCpus"),
    ("cpuset-mems", "CpusetMems"),
    ("memory", "Memory"),
    ("memory-reservation", "MemoryReservation"),
    ("memory-swap", "MemorySwap"),
    ("pids-limit", "PidsLimit"),
)

_NAMESPACES = (
    ("pid", "PID", ("", "host"), True),
    ("uts", "UTS", ("", "host"), False),
    ("userns", "USER", ("", "host"), False),
    ("cgroupns", "CGROUP", ("", "private", "host"), False),
)


def build(options: Options, image: str, command: Sequence[str]) -> dict[str, Any]:
    """The request body. Raises ``CliError`` (the caller sets code and help line)."""
    try:
        return _build(options, image, command)
    except ValueError as error:
        raise CliError(str(error)) from None


def _build(options: Options, image: str, command: Sequence[str]) -> dict[str, Any]:
    values = options.values
    changed = options.changed_names
    config: dict[str, Any] = {"Image": image}
    host: dict[str, Any] = {"NetworkMode": "default"}

    if values["mac-address"]:
        from pierhead.cli.container.values import mac_address

        if not mac_address(values["mac-address"].strip()):
            raise ValueError(f"{values['mac-address']} is not a valid mac address")
    attached = values["attach"]
    stdin = values["interactive"]
    config["AttachStdin"] = stdin or "stdin" in attached
    config["AttachStdout"] = not attached or "stdout" in attached
    config["AttachStderr"] = not attached or "stderr" in attached
    if values["tty"]:
        config["Tty"] = True
    if stdin:
        config["OpenStdin"] = True
        config["StdinOnce"] = config["AttachStdin"]
    swappiness = values["memory-swappiness"]
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise ValueError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")

    for flag, field in _CONFIG:
        if flag in changed:
            config[field] = values[flag]
    for flag, field in _HOST:
        if flag in changed:
            host[field] = values[flag]
    for flag, field in LIMITS:
        if flag in changed:
            host[field] = values[flag]
    if "cap-add" in changed or "cap-drop" in changed:
        _capabilities(values, host)
    if command:
        config["Cmd"] = list(command)
    if "entrypoint" in changed:
        config["Entrypoint"] = [values["entrypoint"]]
    if "volume" in changed:
        _volumes(values["volume"], config, host)
    if "tmpfs" in changed:
        pairs = (item.partition(":") for item in values["tmpfs"])
        host["Tmpfs"] = {path: settings for path, _, settings in pairs}
    if "publish" in changed or "expose" in changed:
        from pierhead.cli.container.ports import parse_expose, parse_publish

        config["ExposedPorts"], host["PortBindings"] = parse_publish(values["publish"])
        parse_expose(values["expose"], config["ExposedPorts"])
    if "device" in changed:
        _devices(values["device"], host)
    if "env" in changed or "env-file" in changed:
        if "env-file" in changed:
            from pierhead.cli.container.keyvalue import environment

            lines = environment(values["env-file"], values["env"])
        else:
            lines = values["env"]
        config["Env"] = list({line.partition("=")[0]: line for line in lines}.values())
    if "label" in changed or "label-file" in changed:
        from pierhead.cli.container.keyvalue import labels

        config["Labels"] = labels(values["label-file"], values["label"])
    for flag, word, allowed, joinable in _NAMESPACES:
        mode = values[flag]
        if mode not in allowed and not (
            joinable and mode.startswith("container:") and len(mode) > 10
        ):
            raise ValueError(f"--{flag}: invalid {word} mode")
    if "restart" in changed:
        host["RestartPolicy"] = restart_policy(values["restart"])
    if "log-driver" in changed or "log-opt" in changed:
        _logging(values, host)
    if "security-opt" in changed:
        _security(values["security-opt"], host)
    if "storage-opt" in changed:
        for item in values["storage-opt"]:
            if "=" not in item:
                raise ValueError("invalid storage option")
        pairs = (item.partition("=") for item in values["storage-opt"])
        host["StorageOpt"] = {key: value for key, _, value in pairs}
    if "ulimit" in changed:
        limits = {item["Name"]: item for item in values["ulimit"]}
        host["Ulimits"] = [limits[name] for name in sorted(limits)]
    _health(options, config)
    if values["rm"] and host.get("RestartPolicy", {}).get("Name", "no") not in ("", "no"):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    endpoints = _networks(options, host)
    body = config
    body["HostConfig"] = host
    if endpoints:
        body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return body


def _volumes(specs: Sequence[str], config: dict[str, Any], host: dict[str, Any]) -> None:
    """Split ``-v`` values into binds and anonymous volumes."""
    anonymous: dict[str, dict[str, Any]] = {}
    binds: dict[str, None] = {}
    for spec in specs:
        source = _volume_source(spec)
        if source is None:
            anonymous[spec] = {}
            continue
        if source.startswith("."):
            from pierhead.cli.paths import absolute

            first, _, rest = spec.partition(":")
            spec = f"{absolute(first)}:{rest}"
        binds[spec] = None
    if anonymous:
        config["Volumes"] = anonymous
    if binds:
        host["Binds"] = list(binds)


def _volume_source(spec: str) -> str | None:
    """The source of ``source:target[:options]``; ``None`` for an anonymous volume."""
    if not spec:
        raise ValueError("invalid empty volume spec")
    if len(spec) <= 2:
        return None
    sections = spec.split(":")
    if len(sections[0]) == 1 and sections[0].isalpha() and len(sections) > 1:
        # A letter and a colon is a Windows drive to Docker's parser.
        sections[:2] = [f"{sections[0]}:{sections[1]}"]
    if "" in sections:
        raise ValueError(f"invalid spec: {spec}: empty section between colons")
    if len(sections) > 3:
        raise ValueError(f"invalid spec: {spec}: too many colons")
    return sections[0] if len(sections) > 1 else None


def _capabilities(values: dict[str, Any], host: dict[str, Any]) -> None:
    """Names in the kernel's spelling; what is added is not dropped."""
    added, dropped = (
        {_capability(name) for name in values[flag]} for flag in ("cap-add", "cap-drop")
    )
    added = {"ALL"} if "ALL" in added else added
    dropped = {"ALL"} if "ALL" in dropped else dropped - added
    if added:
        host["CapAdd"] = sorted(added)
    if dropped:
        host["CapDrop"] = sorted(dropped)


def _capability(name: str) -> str:
    name = name.strip().upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def _devices(specs: Sequence[str], host: dict[str, Any]) -> None:
    devices: list[dict[str, str]] = []
    cdi: list[str] = []
    for spec in specs:
        kind, equals, name = spec.partition("=")
        if equals and name and "/" in kind[1:] and not kind.startswith("/") and ":" not in kind:
            cdi.append(spec)
        else:
            devices.append(_device(spec))
    if devices:
        host["Devices"] = devices
    if cdi:
        host["DeviceRequests"] = [
            *host.get("DeviceRequests", ()),
            {"Driver": "cdi", "DeviceIDs": cdi},
        ]


def _device(spec: str) -> dict[str, str]:
    parts = spec.split(":")
    if len(parts) > 3 or not parts[0]:
        raise ValueError(f"bad format for path: {spec}")
    source, target, mode = parts[0], parts[0], "rwm"
    if len(parts) == 3:
        if not _device_mode(parts[2]):
            raise ValueError(f"bad mode specified: {parts[2]}")
        target, mode = parts[1], parts[2]
    elif len(parts) == 2 and not _device_mode(parts[1]):
        target = _clean(parts[1])
    else:
        mode = parts[1] if len(parts) == 2 else mode
        source = target = _clean(source)
    if not target.startswith("/"):
        raise ValueError(f"{target} is not an absolute path")
    return {
        "PathOnHost": source,
        "PathInContainer": target or source,
        "CgroupPermissions": mode,
    }


def _clean(path: str) -> str:
    from pierhead.cli.paths import absolute

    return absolute(path) if path.startswith("/") else path


def _device_mode(text: str) -> bool:
    return bool(text) and len(set(text)) == len(text) and all(char in "rwm" for char in text)


def restart_policy(text: str) -> dict[str, Any]:
    """``name[:count]``; the daemon knows which names there are. Raises ``ValueError``."""
    if not text:
        return {"Name": ""}
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    policy: dict[str, Any] = {"Name": name}
    if count:
        digits = count[1:] if count[0] in "+-" else count
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(
                "invalid restart policy format: maximum retry count must be an integer"
            )
        policy["MaximumRetryCount"] = int(count)
    return policy


def _logging(values: dict[str, Any], host: dict[str, Any]) -> None:
    driver, pairs = values["log-driver"], values["log-opt"]
    if driver == "none" and pairs:
        raise ValueError(f"invalid logging opts for driver {driver}")
    from pierhead.cli.container.keyvalue import to_map

    host["LogConfig"] = {"Type": driver, "Config": to_map(pairs)}


def _security(given: Sequence[str], host: dict[str, Any]) -> None:
    """Read seccomp profiles from files, turn ``systempaths`` into lists of paths."""
    result: list[str] = []
    for option in given:
        key, separator, value = option.partition("=")
        if not separator and key != "no-new-privileges":
            key, separator, value = option.partition(":")
        if not value and key != "no-new-privileges":
            from pierhead.cli.flags import go_quote

            raise ValueError(f"Invalid --security-opt: {go_quote(option)}")
        if key == "seccomp" and value not in ("builtin", "unconfined"):
            option = "seccomp=" + _seccomp_profile(value)
        if option == "systempaths=unconfined":
            host["MaskedPaths"] = []
            host["ReadonlyPaths"] = []
        else:
            result.append(option)
    if result:
        host["SecurityOpt"] = result


def _seccomp_profile(path: str) -> str:
    from pierhead.cli.container.keyvalue import read_file
    from pierhead.client.json_fast import dumps, loads

    try:
        data = read_file(path)
    except ValueError as error:
        raise ValueError(f"opening seccomp profile ({path}) failed: {error}") from None
    try:
        return dumps(loads(data.decode()))
    except ValueError as error:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from None


_HEALTH = (
    ("health-interval", "Interval"),
    ("health-timeout", "Timeout"),
    ("health-retries", "Retries"),
    ("health-start-period", "StartPeriod"),
    ("health-start-interval", "StartInterval"),
)


def _health(options: Options, config: dict[str, Any]) -> None:
    values = options.values
    check: dict[str, Any] = {}
    if values["health-cmd"]:
        check["Test"] = ["CMD-SHELL", values["health-cmd"]]
    for flag, field in _HEALTH:
        if values[flag]:
            check[field] = values[flag]
    if values["no-healthcheck"]:
        if check:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        config["Healthcheck"] = {"Test": ["NONE"]}
    elif check:
        for flag, _ in _HEALTH:
            if values[flag] < 0:
                raise ValueError(f"--{flag} cannot be negative")
        config["Healthcheck"] = check


def _user_defined(name: str) -> bool:
    return name not in ("default", "bridge", "host", "none", "") and not name.startswith(
        "container:"
    )


def _networks(options: Options, host: dict[str, Any]) -> dict[str, Any]:
    """The endpoints asked for, by network; sets the network mode in ``host``."""
    values = options.values
    wanted = [dict(item) for item in values["network"]]
    first = {
        "Aliases": values["network-alias"],
        "Links": values["link"],
        "IPv4Address": values["ip"],
        "IPv6Address": values["ip6"],
        "MacAddress": values["mac-address"].strip(),
        "LinkLocalIPs": values["link-local-ip"],
    }
    if not wanted:
        wanted = [{"Target": "default"}]
    conflicts = (
        ("Aliases", "--network-alias", "alias"),
        ("IPv4Address", "--ip", "IPv4 address"),
        ("IPv6Address", "--ip6", "IPv6 address"),
        ("MacAddress", "--mac-address", "MAC address"),
        ("LinkLocalIPs", "--link-local-ip", "link-local IP addresses"),
    )
    for field, flag, words in conflicts:
        if first[field]:
            if wanted[0].get(field):
                raise ValueError(
                    f"conflicting options: cannot specify both {flag} and per-network {words}"
                )
            wanted[0][field] = first[field]
    host["NetworkMode"] = wanted[0]["Target"]
    if first["Links"] and _user_defined(wanted[0]["Target"]):
        wanted[0]["Links"] = first["Links"]
    endpoints: dict[str, Any] = {}
    user_defined = built_in = False
    for item in wanted:
        name = item["Target"]
        if _user_defined(name):
            user_defined = True
        else:
            built_in = True
        endpoint = _endpoint(item)
        if name in endpoints:
            raise ValueError(f'network "{name}" is specified multiple times')
        endpoints[name] = endpoint
    if user_defined and built_in:
        raise ValueError(
            "conflicting options: cannot attach both user-defined and "
            "non-user-defined network-modes"
        )
    if not user_defined and not any(endpoints.values()):
        return {}
    return endpoints


def _endpoint(item: dict[str, Any]) -> dict[str, Any]:
    name = item["Target"]
    if not name.strip():
        raise ValueError("no name set for network")
    if not _user_defined(name):
        if item.get("Aliases"):
            raise ValueError("network-scoped aliases are only supported for user-defined networks")
        if item.get("Links"):
            raise ValueError("links are only supported for user-defined networks")
    endpoint: dict[str, Any] = {}
    for field in ("Aliases", "Links", "DriverOpts", "GwPriority", "MacAddress"):
        if item.get(field):
            endpoint[field] = item[field]
    if "MacAddress" in endpoint:
        from pierhead.cli.container.values import mac_address

        if not mac_address(endpoint["MacAddress"]):
            raise ValueError(f"{endpoint['MacAddress']} is not a valid mac address")
    addresses = {
        field: item[field]
        for field in ("IPv4Address", "IPv6Address", "LinkLocalIPs")
        if item.get(field)
    }
    if addresses:
        endpoint["IPAMConfig"] = addresses
    return endpoint
