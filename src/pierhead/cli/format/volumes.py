"""Rows of ``pier volume ls`` and of the volumes in ``system df``."""

from __future__ import annotations

from pierhead.cli.format.listing import Row
from pierhead.cli.format.text import joined_labels
from pierhead.cli.format.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADERS = {
    "ID": "ID",
    "Name": "VOLUME NAME",
    "Group": "GROUP",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "Availability": "AVAILABILITY",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
    "Status": "STATUS",
}


def volume_format(source: str, *, quiet: bool) -> str:
    """The template for ``--format source``."""
    if source == "table":
        return "{{.Name}}" if quiet else "table {{.Driver}}\t{{.Name}}"
    if source == "raw":
        return "name: {{.Name}}" if quiet else "name: {{.Name}}\\ndriver: {{.Driver}}\\n"
    return source


class VolumeRow(Row):
    """An element of ``Volumes`` in ``GET /volumes``; cluster volumes don't exist here."""

    GO_TYPE = "*formatter.volumeContext"
    METHOD_ARGUMENTS = {"Label": ("string",)}

    def __init__(self, volume: dict[str, Any]) -> None:
        self._volume = volume

    def _text(self, name: str) -> str:
        return str(self._volume.get(name) or "")

    def Name(self) -> str:
        return self._text("Name")

    def Driver(self) -> str:
        return self._text("Driver")

    def Scope(self) -> str:
        return self._text("Scope")

    def Mountpoint(self) -> str:
        return self._text("Mountpoint")

    def Labels(self) -> str:
        return joined_labels(self._volume.get("Labels"))

    def Label(self, name: str) -> str:
        return str((self._volume.get("Labels") or {}).get(name, ""))

    def Links(self) -> str:
        usage = self._volume.get("UsageData")
        return "N/A" if not usage else str(usage.get("RefCount", 0))

    def Size(self) -> str:
        usage = self._volume.get("UsageData")
        return "N/A" if not usage else human_size(usage.get("Size", 0))

    def Group(self) -> str:
        return "N/A"

    def Availability(self) -> str:
        return "N/A"

    def Status(self) -> str:
        return "N/A"
