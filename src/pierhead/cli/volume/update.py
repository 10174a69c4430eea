"""``pier volume update``: for cluster volumes only, of which there are none here."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def update(cli: Cli, options: Options, args: list[str]) -> None:
    """PUT /volumes/{name}, if the daemon has such a cluster volume."""
    volume = cli.client.get(f"/volumes/{quote(args[0])}")
    cluster = volume.get("ClusterVolume")
    if not cluster:
        raise CliError("can only update cluster volumes")
    spec = cluster.get("Spec") or {}
    if options.changed("availability"):
        spec["Availability"] = options.string("availability")
    version = (cluster.get("Version") or {}).get("Index", 0)
    cli.client.request(
        "PUT", f"/volumes/{quote(cluster['ID'])}", {"version": version}, {"Spec": spec}
    )


UPDATE = Command(
    "[OPTIONS] VOLUME",
    update,
    (("availability", "", "string", "active", "active, pause or drain"),),
    args=(1, 1),
)
