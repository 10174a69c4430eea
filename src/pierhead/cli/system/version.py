"""``pier version``: both sides' versions, as docker lays them out."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.system.client import PLATFORM, client_version
from pierhead.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.gotemplate import GoStruct
    from pierhead.cli.main import Cli

_ENGINE_LINES = (
    ("Version", ""),
    ("API version", "ApiVersion"),
    ("Go version", "GoVersion"),
    ("Git commit", "GitCommit"),
    ("Built", "BuildTime"),
)


def _built(text: str) -> str:
    """A build time in the form of ``date``; what is no time stays as it is."""
    from pierhead.cli.format.clock import ansic, parse_rfc3339

    try:
        seconds, _ = parse_rfc3339(text)
    except ValueError:
        return text
    zone = text[-6:]
    offset = 0
    if zone[0] in "+-":
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * (-60 if zone[0] == "-" else 60)
    return ansic(seconds, offset=offset)


def complete(server: dict[str, Any]) -> dict[str, Any]:
    """Make sure that there is an Engine among the components, its build time readable."""
    components = server.setdefault("Components", [])
    for component in components:
        if component.get("Name") == "Engine":
            details = component.setdefault("Details", {})
            if "BuildTime" in details:
                details["BuildTime"] = _built(details["BuildTime"])
            return server
    details = {key: str(server.get(key) or "") for key in ("GitCommit", "GoVersion", "Os", "Arch")}
    details["ApiVersion"] = str(server.get("ApiVersion") or "")
    details["MinAPIVersion"] = str(server.get("MinAPIVersion") or "")
    details["BuildTime"] = _built(str(server.get("BuildTime") or ""))
    details["Experimental"] = "true" if server.get("Experimental") else "false"
    components.append(
        {"Name": "Engine", "Version": str(server.get("Version") or ""), "Details": details}
    )
    return server


def client_lines(client: dict[str, str]) -> list[str]:
    """The ``Client`` block."""
    api = client["APIVersion"]
    if api != client["DefaultAPIVersion"]:
        api += f" (downgraded from {client['DefaultAPIVersion']})"
    return [
        f"Client: {PLATFORM}",
        f" Version:\t{client['Version']}",
        f" API version:\t{api}",
        f" Go version:\t{client['GoVersion']}",
        f" Git commit:\t{client['GitCommit']}",
        f" Built:\t{client['BuildTime']}",
        f" OS/Arch:\t{client['Os']}/{client['Arch']}",
        f" Context:\t{client['Context']}",
    ]


def server_lines(server: dict[str, Any]) -> list[str]:
    """The ``Server`` block: the engine first among its components' own order."""
    platform = (server.get("Platform") or {}).get("Name") or ""
    lines = ["", f"Server: {platform}" if platform else "Server:"]
    for component in server["Components"]:
        details = component.get("Details") or {}
        lines.append(f" {component.get('Name', '')}:")
        if component.get("Name") != "Engine":
            lines.append(f"  Version:\t{component.get('Version', '')}")
            lines += [f"  {key}:\t{details[key]}" for key in sorted(details)]
            continue
        for label, key in _ENGINE_LINES:
            value = details.get(key, "") if key else component.get("Version", "")
            if key == "ApiVersion":
                value += f" (minimum version {details.get('MinAPIVersion', '')})"
            lines.append(f"  {label}:\t{value}")
        lines.append(f"  OS/Arch:\t{details.get('Os', '')}/{details.get('Arch', '')}")
        lines.append(f"  Experimental:\t{details.get('Experimental', '')}")
    return lines


def _data(client: dict[str, str], server: dict[str, Any] | None) -> GoStruct:
    """Both sides as docker's ``versionInfo``, for templates."""
    from pierhead.cli.format.go_types import typed
    from pierhead.cli.gotemplate import GoStruct
    from pierhead.cli.gotemplate.values import NilPointer

    platform = GoStruct("system.platformInfo", {"Name": PLATFORM}, pointer=True)
    fields: dict[str, Any] = {"Platform": platform, **client}
    there: GoStruct | NilPointer = NilPointer("types.Version")
    if server is not None:
        there = engine = typed(server, "version")
        engine.pointer = True
    return GoStruct(
        "system.versionInfo",
        {
            "Client": GoStruct(
                "system.clientVersion",
                fields,
                names={"APIVersion": "ApiVersion"},
                omit=frozenset(fields) - {"Context"},
            ),
            "Server": there,
        },
    )


def _aligned(lines: list[str]) -> str:
    """The lines with their tabs widened; without the table writer where labels are short."""
    text = "\n".join(lines) + "\n"
    if all(line.find("\t") < 20 for line in lines):
        parts = [line.partition("\t") for line in lines]
        return "".join([(a.ljust(20) if tab else a) + b + "\n" for a, tab, b in parts])
    from pierhead.cli.format.tabwriter import tabwriter

    return tabwriter(text, 20, 1)


def version(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /version. Without a daemon the client's half is printed, then the error."""
    source = options.string("format")
    template = None
    if source:
        from pierhead.cli.gotemplate import TemplateError, parse

        try:
            template = parse("{{json .}}" if source == "json" else source, name="version")
        except TemplateError as error:
            raise CliError(f"template parsing error: {error}", 64) from error
    server: dict[str, Any] | None = None
    failure: ClientError | None = None
    try:
        server = complete(cli.client.get("/version"))
    except ClientError as error:
        failure = error
    client = client_version(cli, negotiated=True)
    if template is None:
        lines = client_lines(client) + (server_lines(server) if server is not None else [])
        cli.out(_aligned(lines))
    else:
        from pierhead.cli.format.tabwriter import tabwriter
        from pierhead.cli.gotemplate import TemplateError

        try:
            cli.out(tabwriter(template.execute(_data(client, server)) + "\n", 20, 1))
        except TemplateError as error:
            cli.out(error.partial + "\n")
            raise failure or CliError(str(error)) from error
    if failure is not None:
        raise failure


VERSION = Command(
    "[OPTIONS]",
    version,
    (("format", "f", "string", "", "Print with 'json' or a Go template"),),
    args=(0, 0),
)
