"""``pier volume create``."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.text import check_label, pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

#: Flags of cluster volumes, which need a swarm.
_CLUSTER = (
    ("availability", "", "string", "active", "Availability of a cluster volume"),
    ("group", "", "string", "", "Group of a cluster volume"),
    ("limit-bytes", "", "bytes", 0, "Largest size of a cluster volume"),
    ("required-bytes", "", "bytes", 0, "Smallest size of a cluster volume"),
    ("scope", "", "string", "single", "Access scope of a cluster volume"),
    ("secret", "", "map", None, "Secrets of a cluster volume"),
    ("sharing", "", "string", "none", "Who may share a cluster volume"),
    ("topology-preferred", "", "list", None, "Where a cluster volume is best"),
    ("topology-required", "", "list", None, "Where a cluster volume must be reachable"),
    ("type", "", "string", "block", "Access type of a cluster volume"),
)


def create(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /volumes/create."""
    name = options.string("name")
    if args:
        if name:
            raise CliError(
                "conflicting options: cannot specify a volume-name through both --name "
                "and as a positional arg"
            )
        name = args[0]
    for flag in _CLUSTER:
        if options.changed(flag[0]):
            raise CliError(f"--{flag[0]}: cluster volumes are not implemented yet in Pierhead")
    body = {
        "Name": name,
        "Driver": options.string("driver"),
        "DriverOpts": options.mapping("opt"),
        "Labels": pairs(options.strings("label")),
    }
    cli.out(f"{cli.client.post('/volumes/create', None, body).get('Name', '')}\n")


CREATE = Command(
    "[OPTIONS] [VOLUME]",
    create,
    (
        *_CLUSTER,
        ("driver", "d", "string", "local", "Driver of the volume"),
        ("label", "", "list", None, "Put a label on the volume", check_label),
        ("name", "", "string", "", ""),
        ("opt", "o", "map", None, "Options for the driver"),
    ),
    args=(0, 1),
)
