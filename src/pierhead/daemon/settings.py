"""The engine's ``Settings`` from the options in force, at start and again at a reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pierhead.daemon.configuration import Configuration, ConfigurationError, check, read_file
from pierhead.daemon.options import OPTIONS
from pierhead.daemon.values import parse_builder
from pierhead.engine.config import Ulimit
from pierhead.engine.settings import Settings

_DRIVERS = {"overlay": "overlay2"}
"""Old names of ``--storage-driver``."""


def settings_of(configuration: Configuration) -> Settings:
    """What the engine needs to know. ``daemon_id`` is set when the database is open."""
    value = configuration.values
    runtimes = {"crun": "crun", **(value.get("runtimes") or {})}
    default = value["default-runtime"]
    bounded, build_cache_bytes = parse_builder(value.get("builder"))
    runtimes.setdefault(default, default)
    return Settings(
        data_root=Path(value["data-root"]).absolute(),
        exec_root=Path(value["exec-root"]).absolute(),
        labels=list(value.get("labels") or []),
        debug=bool(value.get("debug")),
        experimental=bool(value.get("experimental")),
        hosts=list(value["hosts"]),
        default_runtime=default,
        runtimes=runtimes,
        default_ulimits={
            name: Ulimit(name=name, soft=soft, hard=hard)
            for name, (soft, hard) in (value.get("default-ulimits") or {}).items()
        },
        default_shm_size=value["default-shm-size"],
        default_ipc_mode=value["default-ipc-mode"],
        default_cgroupns_mode=value.get("default-cgroupns-mode") or "",
        cgroup_parent=value.get("cgroup-parent") or "",
        init=bool(value.get("init")),
        init_path=value.get("init-path") or "",
        log_driver=value["log-driver"],
        log_opts=dict(value.get("log-opts") or {}),
        no_new_privileges=bool(value.get("no-new-privileges")),
        seccomp_profile=value.get("seccomp-profile") or "",
        shutdown_timeout_s=value["shutdown-timeout"],
        storage_driver=_DRIVERS.get(value["storage-driver"], value["storage-driver"]),
        insecure_registries=list(value.get("insecure-registries") or []),
        registry_mirrors=list(value.get("registry-mirrors") or []),
        registry_mirrors_for=dict(value.get("registry-mirrors-for") or {}),
        # 0 means the default, as in dockerd
        max_concurrent_downloads=value.get("max-concurrent-downloads") or 3,
        max_concurrent_uploads=value.get("max-concurrent-uploads") or 5,
        max_download_attempts=value.get("max-download-attempts") or 5,
        bridge=value["bridge"],
        bip=value.get("bip") or "",
        fixed_cidr=value.get("fixed-cidr") or "",
        default_gateway=value.get("default-gateway") or "",
        default_address_pools=list(value.get("default-address-pools") or []),
        default_bind_address=value["ip"],
        icc=value["icc"],
        ip_forward=value["ip-forward"],
        ip_masq=value["ip-masq"],
        firewall=value["iptables"],
        mtu=value["mtu"] or 1500,
        dns=list(value.get("dns") or []),
        dns_options=list(value.get("dns-opts") or []),
        dns_search=list(value.get("dns-search") or []),
        host_gateway_ips=list(value.get("host-gateway-ips") or []),
        build_cache_bounded=bounded,
        build_cache_bytes=build_cache_bytes,
    )


def proxies_of(configuration: Configuration) -> dict[str, str]:
    """The proxies that the options name, as environment variables; they win over ours."""
    named = configuration.values.get("proxies") or {}
    found = {}
    for name in ("http-proxy", "https-proxy", "no-proxy"):
        value = configuration.values.get(name) or named.get(name)
        if value:
            found[name.replace("-", "_").upper()] = value
    return found


def reload(configuration: Configuration, settings: Settings) -> list[str]:
    """Read daemon.json again and apply what may change; returns the names that did.

    Flags keep their values. Raises ``ConfigurationError``; then nothing has changed.
    """
    file = read_file(configuration.config_file, required=False)
    wanted: dict[str, Any] = {}
    for option in OPTIONS:
        if option.reload and option.name not in configuration.flags:
            wanted[option.name] = file.get(option.name, option.default)
    trial = Configuration({**configuration.values, **wanted}, configuration.flags)
    faults = check(trial.values)
    if faults:
        raise ConfigurationError(faults)
    changed = [name for name, value in wanted.items() if configuration.values.get(name) != value]
    configuration.values.update(wanted)
    fresh = settings_of(configuration)
    for field in (
        "labels",
        "debug",
        "default_shm_size",
        "shutdown_timeout_s",
        "insecure_registries",
        "registry_mirrors",
        "registry_mirrors_for",
        "max_concurrent_downloads",
        "max_concurrent_uploads",
        "max_download_attempts",
    ):
        setattr(settings, field, getattr(fresh, field))
    return changed
