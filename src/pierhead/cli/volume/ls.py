"""``pier volume ls``."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.format.filters import check_filter, parse_filters
from pierhead.cli.format.listing import write_list
from pierhead.cli.format.text import natural_key
from pierhead.cli.format.volumes import HEADERS, VolumeRow, volume_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def list_volumes(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /volumes."""
    filters = parse_filters(options.strings("filter"))
    volumes = (cli.client.get("/volumes", {"filters": filters}) or {}).get("Volumes") or []
    if options.flag("cluster"):
        volumes = []  # there is no swarm
    volumes.sort(key=lambda volume: natural_key(volume.get("Name") or ""))
    quiet = options.flag("quiet")
    source = options.string("format")
    if not source:
        source = (not quiet and cli.config.get("volumesFormat")) or "table"
    source = volume_format(source, quiet=quiet)
    write_list(cli, source, [VolumeRow(volume) for volume in volumes], HEADERS)


LS = Command(
    "[OPTIONS]",
    list_volumes,
    (
        ("cluster", "", "bool", False, "Show cluster volumes only (swarm)"),
        ("filter", "f", "filter", None, "Show only what fits name=value", check_filter),
        ("format", "", "string", "", "Print with 'table', 'json', or a Go template"),
        ("quiet", "q", "bool", False, "Print names only"),
    ),
    args=(0, 0),
)
