"""Every option of pierd, as data: its flag, its key in daemon.json, its kind and default.

Names are dockerd's, so that its documentation and its daemon.json can be used. Options of
dockerd that Pierhead has no use for are rows, too: those without effect here are taken and
named in a warning, those that would promise protection which isn't there are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

DEFAULT_CONFIG_FILE: Final = "/etc/pierhead/daemon.json"
DEFAULT_HOST: Final = "unix:///run/pierhead.sock"


@dataclass(frozen=True, slots=True)
class Option:
    """One option. ``kind``: bool, int, str, size, list, map, maplist, ulimits, pools or
    runtimes."""

    flag: str  # without the dashes; "" for keys that have no flag
    kind: str
    help: str
    key: str = ""  # in daemon.json, when it differs from the flag; "-": not allowed there
    short: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()
    reload: bool = False  # SIGHUP takes a new value from daemon.json
    note: str = ""  # set for an option without effect: why
    refused: str = ""  # set for an option that is refused unless false or empty: why

    @property
    def name(self) -> str:
        """The key in daemon.json; also the name under which a value is kept."""
        if self.key == "-":
            return self.flag
        return self.key or self.flag


_LEVELS = ("debug", "info", "warn", "error", "fatal")
_ALWAYS = "containers always outlive pierd"
_NO_SWARM = "Pierhead has no swarm mode"
_NO_IPV6 = "networks are IPv4 only for now"

OPTIONS: Final[tuple[Option, ...]] = (
    # the daemon itself
    Option("config-file", "str", "configuration file", key="-", default=DEFAULT_CONFIG_FILE),
    Option("validate", "bool", "check the configuration and exit", key="-"),
    Option("version", "bool", "print the version and exit", key="-", short="v"),
    Option("help", "bool", "print this text and exit", key="-", short="h"),
    Option("host", "list", "where to listen: unix://, tcp:// or fd://", key="hosts", short="H"),
    Option("group", "str", "group of the unix socket (default: docker or pierhead)", short="G"),
    Option("data-root", "str", "directory of all persistent state", default="/var/lib/pierhead"),
    Option("exec-root", "str", "directory of run-time state", default="/run/pierhead"),
    Option("pidfile", "str", "file for pierd's process id", short="p"),
    Option("debug", "bool", "log everything", short="D", reload=True),
    Option(
        "log-level",
        "str",
        "least level to log",
        short="l",
        default="info",
        choices=_LEVELS,
        reload=True,
    ),
    Option("log-format", "str", "form of the log", default="text", choices=("text", "json")),
    Option("label", "list", "key=value labels of this daemon", key="labels", reload=True),
    Option("experimental", "bool", "report experimental features as on"),
    Option(
        "shutdown-timeout", "int", "seconds for requests to end at stop", default=15, reload=True
    ),
    # TLS
    Option("tls", "bool", "use TLS on tcp:// sockets; implied by tlsverify"),
    Option("tlsverify", "bool", "use TLS and demand a client certificate"),
    Option("tlscacert", "str", "trust clients signed by this CA", default="/etc/pierhead/ca.pem"),
    Option("tlscert", "str", "TLS certificate", default="/etc/pierhead/cert.pem"),
    Option("tlskey", "str", "TLS key", default="/etc/pierhead/key.pem"),
    # containers
    Option("add-runtime", "runtimes", "name=path of an OCI runtime", key="runtimes"),
    Option("default-runtime", "str", "runtime of containers that name none", default="crun"),
    Option("default-ulimit", "ulimits", "name=soft[:hard] for containers", key="default-ulimits"),
    Option("default-shm-size", "size", "size of /dev/shm", default=64 << 20, reload=True),
    Option(
        "default-ipc-mode",
        "str",
        "IPC mode of containers",
        default="private",
        choices=("private", "shareable"),
    ),
    Option(
        "default-cgroupns-mode",
        "str",
        "cgroup namespace of containers",
        choices=("", "private", "host"),
    ),
    Option("cgroup-parent", "str", "parent cgroup of containers"),
    Option("init", "bool", "run an init in every container"),
    Option("init-path", "str", "path of the init"),
    Option(
        "log-driver",
        "str",
        "log driver of containers",
        default="json-file",
        choices=("json-file", "local", "none"),
    ),
    Option("log-opt", "map", "key=value log options of containers", key="log-opts"),
    Option("no-new-privileges", "bool", "set no_new_privs in every container"),
    Option("seccomp-profile", "str", "path of a seccomp profile, or unconfined"),
    # images
    Option(
        "storage-driver",
        "str",
        "snapshotter; empty: what the data root has, else the best that works",
        short="s",
        default="",
        choices=("", "erofs", "overlay2", "overlay"),
    ),
    Option(
        "insecure-registry", "list", "registry without TLS", key="insecure-registries", reload=True
    ),
    Option("registry-mirror", "list", "mirror of Docker Hub", key="registry-mirrors", reload=True),
    Option(  # ours: dockerd has mirrors of Docker Hub only
        "registry-mirror-for",
        "maplist",
        "registry=URL of a mirror of that registry",
        key="registry-mirrors-for",
        reload=True,
    ),
    Option("max-concurrent-downloads", "int", "layers to pull at a time", default=3, reload=True),
    Option("max-concurrent-uploads", "int", "layers to push at a time", default=5, reload=True),
    Option("max-download-attempts", "int", "attempts for each layer", default=5, reload=True),
    Option("http-proxy", "str", "proxy for http:// registries (default: $HTTP_PROXY)"),
    Option("https-proxy", "str", "proxy for https:// registries (default: $HTTPS_PROXY)"),
    Option("no-proxy", "str", "hosts to reach without a proxy (default: $NO_PROXY)"),
    Option("", "map", "http-proxy, https-proxy and no-proxy in one object", key="proxies"),
    # networks
    Option(
        "",
        "any",
        'bounds of the build cache: {"gc": {"enabled": true, "defaultKeepStorage": "20GB"}}',
        key="builder",
    ),
    Option("bridge", "str", "bridge of the default network", short="b", default="pier0"),
    Option("bip", "str", "address and prefix of the default bridge"),
    Option("fixed-cidr", "str", "subnet for addresses of the default network"),
    Option("default-gateway", "str", "gateway of the default network"),
    Option(
        "default-address-pool", "pools", "base=<net>,size=<prefix>", key="default-address-pools"
    ),
    Option("ip", "str", "address for published ports", default="0.0.0.0"),
    Option("icc", "bool", "containers may talk to each other", default=True),
    Option("ip-forward", "bool", "enable IP forwarding", default=True),
    Option("ip-masq", "bool", "masquerade containers' addresses", default=True),
    Option("iptables", "bool", "add firewall rules (nftables)", default=True),
    Option("mtu", "int", "MTU of container networks", default=1500),
    Option("dns", "list", "DNS servers of containers"),
    Option("dns-opt", "list", "resolver options of containers", key="dns-opts"),
    Option("dns-search", "list", "search domains of containers"),
    Option("host-gateway-ip", "list", "what host-gateway stands for", key="host-gateway-ips"),
    # dockerd's, without effect here
    Option("live-restore", "bool", "", note=_ALWAYS),
    Option("userland-proxy", "bool", "", note="published ports are forwarded by the kernel"),
    Option("userland-proxy-path", "str", "", note="published ports are forwarded by the kernel"),
    Option("ip6tables", "bool", "", note=_NO_IPV6),
    Option("storage-opt", "list", "", key="storage-opts", note="the snapshotter has no options"),
    Option("exec-opt", "list", "", key="exec-opts", note="cgroups are managed by pierd itself"),
    Option("containerd", "str", "", note="pierd runs containers without containerd"),
    Option("containerd-namespace", "str", "", note="pierd runs containers without containerd"),
    Option(
        "containerd-plugins-namespace", "str", "", note="pierd runs containers without containerd"
    ),
    Option("network-control-plane-mtu", "int", "", note=_NO_SWARM),
    Option("node-generic-resource", "list", "", key="node-generic-resources", note=_NO_SWARM),
    Option("swarm-default-advertise-addr", "str", "", note=_NO_SWARM),
    Option(
        "default-network-opt",
        "map",
        "",
        key="default-network-opts",
        note="give options when a network is created",
    ),
    Option("oom-score-adjust", "int", "", note="set OOMScoreAdjust= in the systemd unit"),
    Option("cpu-rt-period", "int", "", note="set real-time limits per container"),
    Option("cpu-rt-runtime", "int", "", note="set real-time limits per container"),
    Option("raw-logs", "bool", "", note="logs have no colours"),
    Option("rootless", "bool", "", refused="pierd needs to be root"),
    Option("metrics-addr", "str", "", refused="pierd serves no metrics yet"),
    Option("", "any", "", key="features", note="there are no optional features"),
    # dockerd's, whose promise Pierhead can't keep
    Option("ipv6", "bool", "", refused=_NO_IPV6),
    Option("fixed-cidr-v6", "str", "", refused=_NO_IPV6),
    Option("default-gateway-v6", "str", "", refused=_NO_IPV6),
    Option("selinux-enabled", "bool", "", refused="Pierhead doesn't set SELinux labels"),
    Option("userns-remap", "str", "", refused="user namespaces for containers are not implemented"),
    Option(
        "authorization-plugin",
        "list",
        "",
        key="authorization-plugins",
        refused="authorization plugins are not implemented: every request would pass",
    ),
)

BY_FLAG: Final = {option.flag: option for option in OPTIONS if option.flag}
BY_SHORT: Final = {option.short: option for option in OPTIONS if option.short}
BY_KEY: Final = {option.name: option for option in OPTIONS if option.key != "-"}
