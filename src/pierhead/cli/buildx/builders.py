"""``pier buildx ls``, ``inspect`` and what manages builders: there is one, the daemon itself."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_TABLE = "table {{.Name}}\t{{.DriverEndpoint}}\t{{.Status}}\t{{.Buildkit}}\t{{.Platforms}}"
_HEADERS = {
    "Name": "NAME/NODE",
    "DriverEndpoint": "DRIVER/ENDPOINT",
    "Status": "STATUS",
    "Buildkit": "BUILDKIT",
    "Platforms": "PLATFORMS",
}
_NAMES = ("default", "")


def _facts(cli: Cli) -> tuple[str, list[str]]:
    """(version of the builder, platforms it builds for)."""
    from pierhead.cli.bake.command import local_platform

    version = cli.client.get("/version")
    platform = f"{version.get('Os', 'linux')}/{version.get('Arch', '')}"
    found = [platform if version.get("Arch") else local_platform()]
    return str(version.get("Version", "")), found


def ls(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /version, as a list of one builder."""
    from pierhead.cli.format.listing import print_list

    try:
        version, platforms = _facts(cli)
        status = "running"
    except Exception as error:
        if type(error).__name__ not in ("ConnectFailed", "ApiError", "ProtocolError"):
            raise
        version, platforms, status = "", [], "error"
    endpoint = cli.client.host
    form = options.string("format")
    if form == "json":
        from pierhead.client.json_fast import dumps

        node = {
            "Name": "default",
            "Endpoint": endpoint,
            "Status": status,
            "Version": version,
            "Platforms": platforms,
        }
        cli.out(
            dumps({"Name": "default", "Driver": "docker", "Current": True, "Nodes": [node]}) + "\n"
        )
        return
    rows: list[dict[str, Any]] = [
        {
            "Name": "default*",
            "DriverEndpoint": "docker",
            "Status": "",
            "Buildkit": "",
            "Platforms": "",
        },
        {
            "Name": " \\_ default",
            "DriverEndpoint": " \\_ default",
            "Status": status,
            "Buildkit": version,
            "Platforms": ", ".join(platforms),
        },
    ]
    print_list(cli, rows, format=form, table=_TABLE, headers=_HEADERS)


def _only_default(name: str) -> None:
    if name not in _NAMES:
        raise CliError(f'ERROR: no builder "{name}" found: Pierhead has one, "default": the daemon')


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /version, about the one builder."""
    _only_default(args[0] if args else options.string("builder"))
    version, platforms = _facts(cli)
    lines = [
        ("Name", "default"),
        ("Driver", "docker"),
        ("", ""),
        ("Nodes", ""),
        ("Name", "default"),
        ("Endpoint", cli.client.host),
        ("Status", "running"),
        ("BuildKit version", version),
        ("Platforms", ", ".join(platforms)),
    ]
    width = max(len(key) for key, _ in lines) + 2
    out = []
    for key, value in lines:
        out.append(f"{key + ':':<{width}}{value}".rstrip() if key else "")
    cli.out("\n".join(out) + "\n")


def use(cli: Cli, options: Options, args: list[str]) -> None:
    """Nothing to choose from."""
    _only_default(args[0])


def stop(cli: Cli, options: Options, args: list[str]) -> None:
    """The builder is the daemon, and goes on."""
    _only_default(args[0] if args else options.string("builder"))


def rm(cli: Cli, options: Options, args: list[str]) -> None:
    """The one builder can't go."""
    for name in args or [options.string("builder")]:
        _only_default(name)
        raise CliError("ERROR: context builder cannot be removed, run `docker context rm` instead")


def create(cli: Cli, options: Options, args: list[str]) -> None:
    """Builders of other kinds belong to buildx itself."""
    raise CliError(
        "ERROR: Pierhead has one builder, the daemon itself: to build elsewhere, use -H, or "
        "docker buildx create with a driver of its own"
    )


def version(cli: Cli, options: Options, args: list[str]) -> None:
    """Ours: buildx's commands are part of pier."""
    import pierhead

    cli.out(f"pierhead {pierhead.__version__}\n")


_BUILDER = ("builder", "", "string", "", "Only the daemon builds: 'default'")

LS = Command(
    "[OPTIONS]",
    ls,
    (
        ("format", "", "string", "table", "Format of the list"),
        ("no-trunc", "", "bool", False, ""),
    ),
    args=(0, 0),
)
INSPECT = Command("[NAME]", inspect, (_BUILDER, ("bootstrap", "", "bool", False, "")), args=(0, 1))
USE = Command(
    "[OPTIONS] NAME",
    use,
    (_BUILDER, ("default", "", "bool", False, ""), ("global", "", "bool", False, "")),
    args=(1, 1),
)
STOP = Command("[NAME]", stop, (_BUILDER,), args=(0, 1))
RM = Command(
    "[OPTIONS] [NAME...]",
    rm,
    (
        _BUILDER,
        ("all-inactive", "", "bool", False, ""),
        ("force", "f", "bool", False, ""),
        ("keep-daemon", "", "bool", False, ""),
        ("keep-state", "", "bool", False, ""),
    ),
)
CREATE = Command(
    "[OPTIONS] [CONTEXT|ENDPOINT]",
    create,
    (
        ("append", "", "bool", False, ""),
        ("bootstrap", "", "bool", False, ""),
        ("buildkitd-config", "", "string", "", ""),
        ("buildkitd-flags", "", "string", "", ""),
        ("driver", "", "string", "", ""),
        ("driver-opt", "", "list", None, ""),
        ("leave", "", "bool", False, ""),
        ("name", "", "string", "", ""),
        ("node", "", "string", "", ""),
        ("platform", "", "list", None, ""),
        ("use", "", "bool", False, ""),
    ),
    args=(0, 1),
)
VERSION = Command("", version, args=(0, 0))
