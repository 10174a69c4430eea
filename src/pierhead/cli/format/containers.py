"""Rows of ``pier ps`` and of the containers in ``system df``."""

from __future__ import annotations

from pierhead.cli.flags import go_quote as quote
from pierhead.cli.format.clock import go_time_string, since
from pierhead.cli.format.listing import Row, simple_parts
from pierhead.cli.format.ports import display_ports
from pierhead.cli.format.references import familiar_image
from pierhead.cli.format.units import ellipsis, human_duration, human_size, truncate_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TABLE = (
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
)
_RAW = """container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
"""

HEADERS = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
    "HealthStatus": "HEALTH STATUS",
}


def container_format(source: str, *, quiet: bool, size: bool) -> str:
    """The template for ``--format source``: names stand for docker's templates."""
    if source in ("", "table"):
        if quiet:
            return "{{.ID}}"
        return TABLE + ("\t{{.Size}}" if size else "")
    if source == "raw":
        if quiet:
            return "container_id: {{.ID}}"
        return _RAW + ("size: {{.Size}}\\n" if size else "")
    return "{{.ID}}" if quiet else source


def wants_size(source: str) -> bool:
    """Whether the template prints sizes, so that the daemon must be asked for them.

    As docker does, runs it over an empty container to see; raises ``CliError`` for
    a template that fails even there.
    """
    parts = simple_parts(source)
    if parts is not None and all(not name or name in HEADERS for _, name in parts):
        return any(name == "Size" for _, name in parts)
    from pierhead.cli.errors import CliError
    from pierhead.cli.gotemplate import TemplateError, parse

    try:
        template = parse(source)
    except TemplateError as error:
        raise CliError(f"failed to parse template: {error}") from error
    probe = ContainerRow({})
    try:
        template.execute(probe)
    except TemplateError as error:
        raise CliError(f"failed to execute template: {error}") from error
    return probe.size_used


class ContainerRow(Row):
    """An element of ``GET /containers/json``."""

    GO_TYPE = "*formatter.ContainerContext"
    METHOD_ARGUMENTS = {"Label": ("string",)}

    def __init__(self, summary: dict[str, Any], *, trunc: bool = True) -> None:
        self._summary = summary
        self._trunc = trunc
        self.size_used = False

    def ID(self) -> str:
        identifier = str(self._summary.get("Id") or "")
        return truncate_id(identifier) if self._trunc else identifier

    def Names(self) -> str:
        names = [name.removeprefix("/") for name in self._summary.get("Names") or ()]
        if self._trunc:
            names = [name for name in names if "/" not in name][:1] or names
        return ",".join(names)

    def Image(self) -> str:
        image = str(self._summary.get("Image") or "")
        if not image:
            return "<no image>"
        if not self._trunc:
            return image
        short = truncate_id(str(self._summary.get("ImageID") or ""))
        if short == truncate_id(image):
            return short
        return familiar_image(image)

    def Command(self) -> str:
        command = str(self._summary.get("Command") or "")
        return quote(ellipsis(command, 20) if self._trunc else command)

    def CreatedAt(self) -> str:
        return go_time_string(int(self._summary.get("Created") or 0))

    def RunningFor(self) -> str:
        return human_duration(since(int(self._summary.get("Created") or 0))) + " ago"

    def Platform(self) -> Any:
        platform = (self._summary.get("ImageManifestDescriptor") or {}).get("platform")
        if not platform:
            return None
        parts = [platform.get("os", ""), platform.get("architecture", ""), platform.get("variant")]
        return "/".join([part for part in parts if part])

    def Ports(self) -> str:
        return display_ports(self._summary.get("Ports"))

    def State(self) -> str:
        return str(self._summary.get("State") or "")

    def Status(self) -> str:
        return str(self._summary.get("Status") or "")

    def Size(self) -> str:
        self.size_used = True
        own = human_size(int(self._summary.get("SizeRw") or 0), 3)
        whole = int(self._summary.get("SizeRootFs") or 0)
        return f"{own} (virtual {human_size(whole, 3)})" if whole > 0 else own

    def Labels(self) -> str:
        labels = self._summary.get("Labels") or {}
        return ",".join(sorted([f"{key}={value}" for key, value in labels.items()]))

    def Label(self, name: str) -> str:
        return str((self._summary.get("Labels") or {}).get(name, ""))

    def Mounts(self) -> str:
        names = [
            str(mount.get("Name") or mount.get("Source") or "")
            for mount in self._summary.get("Mounts") or ()
        ]
        return ",".join([ellipsis(name, 15) if self._trunc else name for name in names])

    def LocalVolumes(self) -> str:
        mounts = self._summary.get("Mounts") or ()
        return str(len([mount for mount in mounts if mount.get("Driver") == "local"]))

    def Networks(self) -> str:
        networks = (self._summary.get("NetworkSettings") or {}).get("Networks") or {}
        return ",".join(networks)

    def HealthStatus(self) -> str:
        status = (self._summary.get("Health") or {}).get("Status")
        if status:
            return str(status)
        _, bracket, health = self.Status().partition("(")
        health = health.removesuffix(")").removeprefix("health: ")
        return health if bracket and health in ("healthy", "unhealthy", "starting") else ""
