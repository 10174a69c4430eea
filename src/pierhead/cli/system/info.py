"""``pier info``, ``pier system info``: facts about the daemon and its machine."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.units import bytes_size
from pierhead.cli.system.client import PLATFORM, client_version
from pierhead.client.errors import ApiError, ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.gotemplate import GoStruct
    from pierhead.cli.main import Cli


def _yes(value: object) -> str:
    return "true" if value else "false"


def client_text(cli: Cli, client: dict[str, str]) -> str:
    """The ``Client`` block."""
    version = f" Version:    {client['Version']}\n" if client["Version"] else ""
    return (
        f"Client: {PLATFORM}\n{version} Context:    {client['Context']}\n"
        f" Debug Mode: {_yes(cli.debug)}\n"
    )


def server_text(info: dict[str, Any], *, debug: bool, user: str) -> str:
    """The ``Server`` block; ends with an empty line."""
    lines: list[str] = []

    def always(label: str, value: object) -> None:
        lines.append(f"{label} {value}")

    def filled(label: str, value: object) -> None:
        if value:
            lines.append(f"{label} {value}")

    always(" Containers:", info.get("Containers", 0))
    always("  Running:", info.get("ContainersRunning", 0))
    always("  Paused:", info.get("ContainersPaused", 0))
    always("  Stopped:", info.get("ContainersStopped", 0))
    always(" Images:", info.get("Images", 0))
    filled(" Server Version:", info.get("ServerVersion"))
    filled(" Storage Driver:", info.get("Driver"))
    lines += [f"  {pair[0]}: {pair[1]}" for pair in info.get("DriverStatus") or ()]
    lines += [f" {pair[0]}: {pair[1]}" for pair in info.get("SystemStatus") or ()]
    filled(" Logging Driver:", info.get("LoggingDriver"))
    filled(" Cgroup Driver:", info.get("CgroupDriver"))
    filled(" Cgroup Version:", info.get("CgroupVersion"))
    plugins = info.get("Plugins") or {}
    lines.append(" Plugins:")
    always("  Volume:", " ".join(plugins.get("Volume") or ()))
    always("  Network:", " ".join(plugins.get("Network") or ()))
    filled("  Authorization:", " ".join(plugins.get("Authorization") or ()))
    always("  Log:", " ".join(plugins.get("Log") or ()))
    if info.get("CDISpecDirs"):
        lines.append(" CDI spec directories:")
        lines += [f"  {directory}" for directory in info["CDISpecDirs"]]
    if info.get("DiscoveredDevices"):
        lines.append(" Discovered Devices:")
        lines += [f"  {item['Source']}: {item['ID']}" for item in info["DiscoveredDevices"]]
    always(" Swarm:", (info.get("Swarm") or {}).get("LocalNodeState", "inactive"))
    if info.get("Runtimes"):
        always(" Runtimes:", " ".join(sorted(info["Runtimes"])))
        always(" Default Runtime:", info.get("DefaultRuntime", ""))
    if info.get("OSType") == "linux":
        _linux_lines(info, lines)
    filled(" Kernel Version:", info.get("KernelVersion"))
    filled(" Operating System:", info.get("OperatingSystem"))
    filled(" OSType:", info.get("OSType"))
    filled(" Architecture:", info.get("Architecture"))
    always(" CPUs:", info.get("NCPU", 0))
    always(" Total Memory:", bytes_size(info.get("MemTotal", 0)))
    filled(" Name:", info.get("Name"))
    filled(" ID:", info.get("ID"))
    always(" Docker Root Dir:", info.get("DockerRootDir", ""))
    always(" Debug Mode:", _yes(info.get("Debug")))
    if info.get("Debug") or debug:
        always("  File Descriptors:", info.get("NFd", 0))
        always("  Goroutines:", info.get("NGoroutines", 0))
        always("  System Time:", info.get("SystemTime", ""))
        always("  EventsListeners:", info.get("NEventsListener", 0))
    filled(" HTTP Proxy:", info.get("HttpProxy"))
    filled(" HTTPS Proxy:", info.get("HttpsProxy"))
    filled(" No Proxy:", info.get("NoProxy"))
    filled(" Username:", user)
    if info.get("Labels"):
        lines.append(" Labels:")
        lines += [f"  {label}" for label in info["Labels"]]
    always(" Experimental:", _yes(info.get("ExperimentalBuild")))
    _registry_lines(info.get("RegistryConfig") or {}, lines)
    always(" Live Restore Enabled:", _yes(info.get("LiveRestoreEnabled")))
    filled(" Product License:", info.get("ProductLicense"))
    if info.get("DefaultAddressPools"):
        lines.append(" Default Address Pools:")
        for pool in info["DefaultAddressPools"]:
            lines.append(f"   Base: {pool.get('Base', '')}, Size: {pool.get('Size', 0)}")
    return "\n".join(lines) + "\n\n"


def _linux_lines(info: dict[str, Any], lines: list[str]) -> None:
    lines.append(f" Init Binary: {info.get('InitBinary', '')}")
    for label, key in (
        ("containerd", "ContainerdCommit"),
        ("runc", "RuncCommit"),
        ("init", "InitCommit"),
    ):
        lines.append(f" {label} version: {(info.get(key) or {}).get('ID', '')}")
    if info.get("SecurityOptions"):
        lines.append(" Security Options:")
        for option in info["SecurityOptions"]:
            parts = [part.partition("=") for part in option.split(",")]
            lines += [f"  {value}" for key, _, value in parts if key == "name"]
            if not any(key == "name" for key, _, _ in parts):
                lines.append(f"  {option}")
            lines += [f"   Profile: {value}" for key, _, value in parts if key == "profile"]


def _registry_lines(registry: dict[str, Any], lines: list[str]) -> None:
    configs = registry.get("IndexConfigs") or {}
    networks = registry.get("InsecureRegistryCIDRs") or []
    if networks or configs:
        lines.append(" Insecure Registries:")
        for config in configs.values():
            if not config.get("Secure"):
                lines.append(f"  {config.get('Name', '')}")
        lines += [f"  {network}" for network in networks]
    if registry.get("Mirrors"):
        lines.append(" Registry Mirrors:")
        lines += [f"  {mirror}" for mirror in registry["Mirrors"]]


def _data(
    cli: Cli, client: dict[str, str], info: dict[str, Any] | None, errors: list[str]
) -> GoStruct:
    """Docker's ``dockerInfo``: the daemon's fields promoted, ``ClientInfo`` beside them."""
    from pierhead.cli.format.go_types import typed
    from pierhead.cli.gotemplate import GoStruct
    from pierhead.cli.gotemplate.values import GoList

    server = typed(info or {}, "info")
    server.pointer = True
    platform = GoStruct("system.platformInfo", {"Name": PLATFORM}, pointer=True)
    version: dict[str, Any] = {"Platform": platform, **client}
    nothing = GoList([], "[]string")
    nothing.is_nil = True
    own = GoStruct(
        "system.clientInfo",
        {
            "Debug": cli.debug,
            "clientVersion": GoStruct(
                "system.clientVersion",
                version,
                names={"APIVersion": "ApiVersion"},
                omit=frozenset(version) - {"Context"},
            ),
            "Plugins": GoList([], "[]manager.Plugin"),
            "Warnings": nothing,
        },
        pointer=True,
        inline=("clientVersion",),
    )
    return GoStruct(
        "system.dockerInfo",
        {
            "Info": server,
            "ServerErrors": GoList(errors, "[]string"),
            "UserName": "",
            "ClientInfo": own,
            "ClientErrors": GoList([], "[]string"),
        },
        names={"UserName": "-"},
        omit=frozenset(("ServerErrors", "ClientErrors")),
        inline=("Info",),
    )


def _ask(cli: Cli) -> tuple[dict[str, Any] | None, str, ClientError | None]:
    """The daemon's answer, or its error's text, or the failure to reach it."""
    try:
        return cli.client.get("/info"), "", None
    except ApiError as error:
        return None, str(error), None
    except ClientError as error:
        return None, "", error


def info(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /info. The client's half is printed whatever happens."""
    source = options.string("format")
    if source:
        _formatted(cli, "{{json .}}" if source == "json" else source)
        return
    facts, refused, failure = _ask(cli)
    text = client_text(cli, client_version(cli, negotiated=False)) + "\nServer:\n"
    if facts is not None:
        from pierhead.cli.registry.credentials import user_name

        text += server_text(facts, debug=cli.debug, user=user_name(cli))
    cli.out(text)
    if facts is not None:
        for warning in facts.get("Warnings") or ():
            cli.err(f"{warning}\n")
    if refused:
        cli.err(f"ERROR: {refused}\n")
        raise CliError("errors pretty printing info")
    if failure is not None:
        raise failure


def _formatted(cli: Cli, source: str) -> None:
    from pierhead.cli.gotemplate import TemplateError, parse

    facts, refused, failure = _ask(cli)
    if refused:
        cli.err(refused + "\n")
    try:
        template = parse(source)
    except TemplateError as error:
        raise CliError(f"template parsing error: {error}", 64) from error
    errors = [str(failure)] if failure is not None else []
    data = _data(cli, client_version(cli, negotiated=False), facts, [refused] if refused else [])
    try:
        cli.out(template.execute(data) + "\n")
    except TemplateError as error:
        cli.out(error.partial + "\n")
        errors.append(str(error))
    if errors:
        raise CliError("\n".join(errors))


INFO = Command(
    "[OPTIONS]",
    info,
    (("format", "f", "string", "", "Print with 'json' or a Go template"),),
    args=(0, 0),
)
